/** What one run of oidc-provider is about. Carried beside the call, never on the shared Provider object. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { ServerContext } from '../context.ts';
import type { LiveSession } from '../directory/sessions.ts';
import type { Client } from './clients.ts';

export interface Exchange {
  ctx: ServerContext;
  client: Client;
  /** who is signed in in this browser; absent at the token endpoint */
  live: LiveSession | undefined;
  /** where an interaction is sent: our login page */
  loginUrl: string;
  /** set when a code or refresh token was presented again and its grant was revoked */
  replayed: boolean;
}

const storage = new AsyncLocalStorage<Exchange>();

export function within<T>(exchange: Exchange, work: () => Promise<T>): Promise<T> {
  return storage.run(exchange, work);
}

export function currentExchange(): Exchange {
  const exchange = storage.getStore();
  if (exchange === undefined) throw new TypeError('oidc-provider ran outside of an exchange');
  return exchange;
}
