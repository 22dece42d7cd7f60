/** Entry of the control plane's process. The supervisor says what to do (contract/process.ts); without it, it ends. */
import { pino } from 'pino';
import { CodedError } from '../contract/errors.ts';
import { logFormat } from '../contract/log-format.ts';
import type { FromControlPlane, ToControlPlane } from '../contract/process.ts';
import { settleMemory } from '../contract/settled-memory.ts';
import type { Settings } from '../settings/settings.ts';
import { startControlPlane } from './control-plane.ts';
import type { ControlPlane } from './control-plane.ts';

/** What is under way at `stop` gets this long. */
const DRAIN_MS = 10_000;

let running: ControlPlane | undefined;

const tell = (message: FromControlPlane) =>
  new Promise<void>((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, () => resolve());
  });

async function start(message: ToControlPlane<Settings> & { kind: 'start' }): Promise<void> {
  const log = pino(logFormat(message.settings.logLevel, 'control-plane'));
  try {
    running = await startControlPlane({ ...message, log });
    const { setupToken } = running;
    await tell(setupToken === undefined ? { kind: 'ready' } : { kind: 'ready', setupToken });
    settleMemory();
  } catch (error) {
    if (error instanceof CodedError) {
      log.debug({ detail: error.detail }, error.message);
      await tell({ kind: 'fatal', code: error.code, sentence: error.message });
    } else {
      log.fatal({ err: error }, 'the identity server could not start');
      const sentence = 'The identity server could not start, for a reason it did not expect. The log above names it.';
      await tell({ kind: 'fatal', code: 'internal-error', sentence });
    }
    process.exit(1);
  }
}

async function stop(): Promise<void> {
  setTimeout(() => process.exit(0), DRAIN_MS).unref();
  await running?.close();
  process.exit(0);
}

process.on('message', (message: ToControlPlane<Settings>) => {
  if (message.kind === 'start') void start(message);
  else void stop();
});
// The supervisor is gone, however it went: an orphan would hold the database and the socket.
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole process group; the supervisor decides the order of things.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
