/**
 * The endpoints that lead a browser through a login: by their address, or by a signature in the query of any other one
 * (spec/outpost.md 2.1). They are the same whether the browser is here, or a reverse proxy asks what to answer it.
 */
import { outpostPath, querySignature } from '../../contract/paths.ts';
import type { Generation } from '../../contract/paths.ts';
import type { Exchange } from '../exchange.ts';
import type { Identity } from '../identify/identify.ts';
import type { Site } from '../sites/site.ts';
import { callback } from './callback.ts';
import { signOut } from './sign-out.ts';
import { start } from './start.ts';

export interface LoginEndpoint {
  readonly what: 'start' | 'callback' | 'sign-out';
  readonly generation: Generation;
}

/**
 * @param rawPath path as received, or as a reverse proxy names it
 * @returns `undefined` for every other address
 */
export function loginEndpoint(site: Site, rawPath: string, query: string): LoginEndpoint | undefined {
  const { basePath } = site.external;
  const below =
    basePath !== '' && rawPath.startsWith(basePath) ? outpostPath(rawPath.slice(basePath.length)) : undefined;
  const own = below ?? outpostPath(rawPath);
  const generation = own?.generation ?? 'outpost';
  const what = own === undefined ? querySignature(query) : named(generation, own.rest);
  return what === undefined ? undefined : { what, generation };
}

export function answerLoginEndpoint(
  exchange: Exchange,
  site: Site,
  { what, generation }: LoginEndpoint,
  identity: Identity,
): void | Promise<void> {
  switch (what) {
    case 'start':
      return start(exchange, site, generation, identity);
    case 'callback':
      return callback(exchange, site, generation, identity);
    case 'sign-out':
      return signOut(exchange, site, identity);
  }
}

function named(generation: Generation, rest: string): LoginEndpoint['what'] | undefined {
  switch (rest) {
    case '/start':
      return 'start';
    case '/callback':
      return 'callback';
    case '/sign_out':
      return 'sign-out';
    case '/sign_in':
      return generation === 'akprox' ? 'start' : undefined;
  }
  return undefined;
}
