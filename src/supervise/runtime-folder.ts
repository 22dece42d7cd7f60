import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CodedError } from '../contract/errors.ts';

/** Things that live as long as this run. */
export interface Runtime {
  /** Unix socket of the control plane */
  socketPath: string;
  /** boot secrets: made anew at each start, known to no file */
  linkCredential: string;
  internalCredential: string;
  outpostToken: string;
  remove(): void;
}

/** Linux takes no longer socket path (sun_path, 108 bytes with its end). */
const MAX_SOCKET_PATH = 107;

/**
 * Makes the private folder of this run (0700) and its secrets. Folders of earlier runs on the same data folder that
 * ended without tidying up are removed; the lock on the data folder must be held.
 * @throws CodedError `runtime-folder`
 */
export function makeRuntime(dataFolder: string): Runtime {
  const parent = process.env['XDG_RUNTIME_DIR'] || tmpdir();
  const prefix = `gatehouse-${createHash('sha256').update(dataFolder).digest('hex').slice(0, 12)}-`;
  let folder: string;
  try {
    for (const name of readdirSync(parent)) {
      if (name.startsWith(prefix)) rmSync(path.join(parent, name), { recursive: true, force: true });
    }
    folder = mkdtempSync(path.join(parent, prefix)); // mode 0700
  } catch (error) {
    const sentence = `No private folder can be made in ${parent}. Set TMPDIR to a folder this user can write.`;
    throw new CodedError('runtime-folder', 500, sentence, (error as Error).message);
  }
  const socketPath = path.join(folder, 'control.sock');
  if (socketPath.length > MAX_SOCKET_PATH) {
    rmSync(folder, { recursive: true, force: true });
    throw new CodedError(
      'runtime-folder',
      500,
      `The path ${parent} is too long for a socket. Set TMPDIR to a shorter one.`,
    );
  }
  return {
    socketPath,
    linkCredential: randomBytes(32).toString('base64url'),
    internalCredential: randomBytes(32).toString('base64url'),
    outpostToken: randomBytes(32).toString('base64url'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
