/** Is this token from our server, for this application, and still good? (spec/outpost.md 9.5, spec/security.md F) */
import { createRemoteJWKSet, customFetch, errors, jwtVerify } from 'jose';
import type { JWTPayload, JWTVerifyGetKey } from 'jose';
import { CodedError } from '../../contract/errors.ts';
import type { BackChannel } from '../back-channel.ts';
import type { Site } from '../sites/site.ts';

/** For `nbf` only: clocks differ. An expired token is expired. */
const NOT_BEFORE_TOLERANCE_S = 300;
/** An unknown key id makes the set be fetched again, at most this often. */
const REFETCH_COOLDOWN_MS = 10_000;
const CACHE_MS = 10 * 60_000;
const TIMEOUT_MS = 5000;

export class TokenVerifier {
  readonly #backChannel: BackChannel;
  readonly #now: () => number;
  /** by address of the key set */
  readonly #keySets = new Map<string, JWTVerifyGetKey>();

  constructor(backChannel: BackChannel, now: () => number) {
    this.#backChannel = backChannel;
    this.#now = now;
  }

  /**
   * Checks signature, issuer, audience and times.
   * @param checks `signature`: only that the server made it, for whomever, and that it is in time
   * @returns the claims
   * @throws CodedError `login-token-invalid`, `login-token-expired` or `login-server-unreachable`
   */
  async verify(site: Site, token: string, checks: 'all' | 'signature' = 'all'): Promise<JWTPayload> {
    const options = {
      ...(checks === 'all' ? { issuer: site.endpoints.issuer, audience: site.provider.client_id } : {}),
      requiredClaims: ['exp', 'sub'],
      clockTolerance: NOT_BEFORE_TOLERANCE_S,
      currentDate: new Date(this.#now()),
    };
    let payload: JWTPayload;
    try {
      ({ payload } = usesSharedSecret(site)
        ? await jwtVerify(token, Buffer.from(site.provider.client_secret), { ...options, algorithms: ['HS256'] })
        : await jwtVerify(token, this.#keySet(site.endpoints.jwksInternal), { ...options, algorithms: ['RS256'] }));
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw expired();
      if (isTransport(error)) {
        throw new CodedError(
          'login-server-unreachable',
          502,
          'The keys of the identity server could not be fetched. Try again in a moment.',
          String(error),
        );
      }
      throw new CodedError(
        'login-token-invalid',
        502,
        'The identity server sent a token that is not valid for this application. Check that issuer and addresses of the server are the ones people use.',
        String(error),
      );
    }
    if ((payload.exp ?? 0) * 1000 <= this.#now()) throw expired();
    return payload;
  }

  #keySet(address: string): JWTVerifyGetKey {
    let keys = this.#keySets.get(address);
    if (keys === undefined) {
      keys = createRemoteJWKSet(new URL(address), {
        [customFetch]: (url, init) => this.#backChannel.fetch(url, init),
        cooldownDuration: REFETCH_COOLDOWN_MS,
        cacheMaxAge: CACHE_MS,
        timeoutDuration: TIMEOUT_MS,
      });
      this.#keySets.set(address, keys);
    }
    return keys;
  }
}

/** Only a server that offers nothing else: a token must not choose between the two kinds of key. */
export function usesSharedSecret(site: Site): boolean {
  const offered = site.provider.oidc_configuration.id_token_signing_alg_values_supported;
  return offered.length === 1 && offered[0] === 'HS256';
}

const expired = () =>
  new CodedError(
    'login-token-expired',
    502,
    'The identity server sent a token that is already over. Compare the clocks of this machine and the server.',
  );

/** jose reports what went wrong with the token by its own errors; the rest went wrong on the way to the key set. */
function isTransport(error: unknown): boolean {
  if (error instanceof errors.JWKSTimeout) return true;
  return !(error instanceof errors.JOSEError) || error.constructor === errors.JOSEError;
}
