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
 * Listens on one of several addresses.
 * @param reusePort whether other processes may share the port (SO_REUSEPORT)
 * @param setting name of the variable to change, for the sentence
 * @throws CodedError of {@link listenError}
 */
export async function listenOn(
  server: Server,
  address: ListenAddress,
  all: readonly ListenAddress[],
  reusePort: boolean,
  setting: string,
): Promise<void> {
  const { host, port } = address;
  // `::` takes IPv4 too, unless an IPv4 address of the same port is listed beside it
  const ipv6Only = host.includes(':') && all.some((other) => other.port === port && !other.host.includes(':'));
  const attempt = async (on: string) => {
    server.listen({ host: on, port, ipv6Only, reusePort, exclusive: true });
    await once(server, 'listening');
  };
  try {
    await attempt(host);
  } catch (error) {
    const failure = error as NodeJS.ErrnoException;
    // a machine or container without IPv6: "every address" means the IPv4 ones
    if (host === '::' && failure.code === 'EAFNOSUPPORT' && !ipv6Only)
      return await attemptOr(attempt, '0.0.0.0', port, setting);
    throw listenError(failure, address, setting);
  }
}

async function attemptOr(attempt: (on: string) => Promise<void>, host: string, port: number, setting: string) {
  try {
    await attempt(host);
  } catch (error) {
    throw listenError(error as NodeJS.ErrnoException, { host, port }, setting);
  }
}

/**
 * Opens and closes each address once, without sharing. Workers share their ports, which would let a second instance in
 * and give it half of the connections; this is what refuses it.
 * @throws CodedError of {@link listenError}
 */
export async function probePorts(addresses: readonly ListenAddress[], setting: string): Promise<void> {
  for (const address of addresses) {
    const server = createServer();
    await listenOn(server, address, addresses, false, setting);
    server.close();
    await once(server, 'close');
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
