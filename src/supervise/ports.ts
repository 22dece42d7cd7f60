import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { CodedError } from '../contract/errors.ts';
import type { ListenAddress } from '../settings/settings.ts';

/** `[::]:9000` */
export function addressText({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Opens and closes each address once, without sharing. Workers share their ports (SO_REUSEPORT), which would let a
 * second instance in and give it half of the connections; this is what refuses it.
 * @param setting name of the variable to change, for the sentence
 * @throws CodedError of {@link listenError}
 */
export async function probePorts(addresses: readonly ListenAddress[], setting: string): Promise<void> {
  for (const address of addresses) {
    const server = createServer();
    await listenExclusively(server, address, setting);
    server.close();
    await once(server, 'close');
  }
}

/** Listens on an address that nobody else may share. @throws CodedError of {@link listenError} */
export async function listenExclusively(server: Server, address: ListenAddress, setting: string): Promise<void> {
  try {
    server.listen({ ...address, exclusive: true });
    await once(server, 'listening');
  } catch (error) {
    throw listenError(error as NodeJS.ErrnoException, address, setting);
  }
}

/** A failure to listen as a sentence that names the address and the setting. */
export function listenError(error: NodeJS.ErrnoException, address: ListenAddress, setting: string): CodedError {
  const where = addressText(address);
  const [code, why] =
    error.code === 'EADDRINUSE'
      ? ['port-in-use', `The address ${where} is in use by another program, perhaps another Gatehouse. Stop it`]
      : error.code === 'EACCES' || error.code === 'EPERM'
        ? ['port-forbidden', `This user may not listen on ${where} (ports below 1024 often need more rights). Allow it`]
        : error.code === 'EADDRNOTAVAIL'
          ? ['address-unknown', `This machine has no address ${where}. Add it`]
          : ['listen-failed', `Listening on ${where} failed (${error.code ?? 'unknown reason'}). Correct that`];
  return new CodedError(code, 503, `${why}, or set ${setting} to another address.`, error.message);
}
