/** Code -> token -> session (OpenID Connect Core 3.1.3; spec/outpost.md 9.5). */
import * as oauth from 'oauth4webapi';
import { CodedError } from '../../contract/errors.ts';
import type { TokenExtension } from '../../contract/extension.ts';
import type { Generation } from '../../contract/paths.ts';
import type { Services } from '../exchange.ts';
import type { AttemptSecrets } from '../session/attempt.ts';
import type { Session } from '../session/session.ts';
import { redirectUri } from '../sites/site.ts';
import type { Site } from '../sites/site.ts';
import { newSession } from './new-session.ts';
import { callOptions, clientOf, serverOf } from './oauth-server.ts';

/**
 * The code is worth nothing (any more). It may have been used in vain: an outpost that was killed between its call and
 * its answer has used it up, and the reverse proxy then asks the next one.
 */
export class CodeNotTaken extends CodedError {}

/** Reads the callback's query: throws oauth4webapi's AuthorizationResponseError for `error=…`. */
export function readCallback(site: Site, query: URLSearchParams, state: string): URLSearchParams {
  return oauth.validateAuthResponse(serverOf(site), clientOf(site), query, state);
}

/** Why the server refused, from the error {@link readCallback} throws; `undefined` for any other error. */
export function authorizationError(error: unknown): string | undefined {
  return error instanceof oauth.AuthorizationResponseError ? error.error : undefined;
}

/**
 * Exchanges the code and verifies everything that comes back.
 * @param callback as returned by {@link readCallback}
 * @throws CodedError `login-failed` ({@link CodeNotTaken} among them), `login-server-unreachable`, `login-token-invalid`, `login-token-expired`
 */
export async function redeem(
  site: Site,
  generation: Generation,
  callback: URLSearchParams,
  secrets: AttemptSecrets,
  { backChannel, verifier, now }: Pick<Services, 'backChannel' | 'verifier' | 'now'>,
): Promise<Session> {
  const client = clientOf(site);
  const server = serverOf(site);
  const asked = now(); // an end that is heard of while the server answers concerns what it answers
  let answer: oauth.TokenEndpointResponse;
  try {
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      oauth.ClientSecretPost(site.provider.client_secret),
      callback,
      redirectUri(site, generation),
      secrets.verifier,
      callOptions(site, backChannel),
    );
    answer = await oauth.processAuthorizationCodeResponse(server, client, response, {
      expectedNonce: secrets.nonce,
      requireIdToken: true,
    });
  } catch (error) {
    throw explain(error);
  }
  const claims = await verifier.verify(site, answer.access_token);
  const identity = await verifier.verify(site, answer.id_token ?? '');
  if (identity.nonce !== secrets.nonce || identity.sub !== claims.sub) {
    throw new CodedError('login-token-invalid', 502, 'The identity server sent tokens that do not belong together.');
  }
  return newSession(site, answer.access_token, claims, answer['gatehouse'] as TokenExtension | undefined, asked);
}

function explain(error: unknown): CodedError {
  const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  if (error instanceof oauth.ResponseBodyError) {
    const text = 'The identity server did not accept the answer of its own login. Try again.';
    const Kind = error.error === 'invalid_grant' ? CodeNotTaken : CodedError;
    return new Kind('login-failed', 502, text, `${error.error}: ${error.error_description ?? ''}`);
  }
  const ofProtocol =
    error instanceof oauth.OperationProcessingError || error instanceof oauth.UnsupportedOperationError;
  return ofProtocol && !isAway(error)
    ? new CodedError('login-failed', 502, 'The identity server gave an answer that cannot be used.', detail)
    : new CodedError('login-server-unreachable', 502, 'The outpost cannot reach the identity server.', detail);
}

/** The library keeps an answer it cannot use as the cause: 502 to 504 come from reverse proxies, and from ours. */
function isAway({ cause }: Error): boolean {
  const status = typeof cause === 'object' && cause !== null && 'status' in cause ? cause.status : undefined;
  return status === 502 || status === 503 || status === 504;
}
