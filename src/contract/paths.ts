/**
 * The outpost's own path prefixes, one per generation of the contract (spec/outpost.md 3 and 22).
 */
export const OUTPOST_PREFIX = '/outpost.goauthentik.io';
export const AKPROX_PREFIX = '/akprox';

/** Below this path of a prefix reverse proxies ask. Visitors have no business there: the answer holds credentials. */
export const QUESTION_PATH = '/auth';

export type Generation = 'outpost' | 'akprox';

export const PREFIX_OF: Readonly<Record<Generation, string>> = { outpost: OUTPOST_PREFIX, akprox: AKPROX_PREFIX };

/**
 * Splits a raw request path into the generation it addresses and the rest below the prefix.
 *
 * Only a whole label counts: `/outpost.goauthentik.io-evil/x` is an ordinary path (security rule C).
 * @param path raw path without query
 * @returns the generation and the rest (`''` or starting with `/`), or `undefined` for an ordinary path
 */
export function outpostPath(path: string): { generation: Generation; rest: string } | undefined {
  if (path.startsWith(OUTPOST_PREFIX)) return below('outpost', path, OUTPOST_PREFIX);
  if (path.startsWith(AKPROX_PREFIX)) return below('akprox', path, AKPROX_PREFIX);
  return undefined;
}

function below(generation: Generation, path: string, prefix: string) {
  const rest = path.slice(prefix.length);
  return rest === '' || rest.startsWith('/') ? { generation, rest } : undefined;
}

/** Query signature that marks a callback on any URL of an application (spec/outpost.md 2.1). */
export const CALLBACK_SIGNATURE = 'X-authentik-auth-callback';
/** Query signature that marks a sign-out on any URL of an application (spec/outpost.md 2.1). */
export const LOGOUT_SIGNATURE = 'X-authentik-logout';

/** @param query raw, without `?` */
export function querySignature(query: string): 'callback' | 'sign-out' | undefined {
  if (!query.includes('authentik')) return undefined;
  const parameters = new URLSearchParams(query);
  const isTrue = (name: string) => parameters.get(name)?.toLowerCase() === 'true';
  if (isTrue(CALLBACK_SIGNATURE)) return 'callback';
  return isTrue(LOGOUT_SIGNATURE) ? 'sign-out' : undefined;
}
