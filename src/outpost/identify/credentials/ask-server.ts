/** Are these credentials right, and whose are they? The identity server knows (spec/outpost.md 8.1 and 8.2). */
import * as oauth from 'oauth4webapi';
import { CodedError } from '../../../contract/errors.ts';
import { REMOTE_IP_HEADER } from '../../../contract/extension.ts';
import type { IntrospectionExtension, RefusalExtension, TokenExtension } from '../../../contract/extension.ts';
import type { BackChannel } from '../../back-channel.ts';
import { newSession } from '../../login/new-session.ts';
import { callOptions, clientOf, serverOf } from '../../login/oauth-server.ts';
import type { TokenVerifier } from '../../login/verify-token.ts';
import type { Session } from '../../session/session.ts';
import type { Site } from '../../sites/site.ts';
import type { Presented } from './presented.ts';

export type Verdict =
  | { readonly kind: 'right'; readonly session: Session }
  /** right, and the application's rules refuse whose they are */
  | { readonly kind: 'denied'; readonly detail: string }
  /** the server does not look at any for a while */
  | { readonly kind: 'limited' }
  /** @property guess whether it was the server that refused: what fails here already tells nobody anything */
  | { readonly kind: 'wrong'; readonly guess: boolean };

export interface ServerAccess {
  backChannel: BackChannel;
  verifier: TokenVerifier;
  /** epoch ms */
  now: () => number;
}

const WRONG: Verdict = { kind: 'wrong', guess: true };
const NO_TOKEN_OF_OURS: Verdict = { kind: 'wrong', guess: false };

/** What the server is asked. */
export interface Asked {
  presented: Presented;
  /** of the client that shows it: the server counts failures, and names it in its audit log */
  address: string;
}

/** @throws Error when the server cannot be asked, or gives an answer that cannot be used */
export async function askServer(site: Site, { presented, address }: Asked, access: ServerAccess): Promise<Verdict> {
  try {
    return presented.kind === 'basic'
      ? await signIn(site, presented, address, access)
      : await introspect(site, presented.token, access);
  } catch (error) {
    if (!(error instanceof oauth.ResponseBodyError)) throw error;
    const refusal = refusalOf(error.cause['gatehouse']);
    if (refusal === undefined && !refuses(error)) throw error;
    return refusal ?? WRONG;
  }
}

/**
 * The user name with an app password is a grant of its own, without the client's secret (spec/server.md 5.6). Our own
 * server is shown it nevertheless: it tells position, groups and headers beside the token only to whom it knows for the
 * outpost, and believes only that one about the client's address.
 */
async function signIn(
  site: Site,
  { username, password }: Extract<Presented, { kind: 'basic' }>,
  address: string,
  { backChannel, verifier, now }: ServerAccess,
): Promise<Verdict> {
  const asked = now(); // an end that is heard of while the server answers concerns what it answers
  const server = serverOf(site);
  const client = clientOf(site);
  const response = await oauth.genericTokenEndpointRequest(
    server,
    client,
    site.provider.gatehouse === undefined ? oauth.None() : oauth.ClientSecretPost(site.provider.client_secret),
    'client_credentials',
    { username, password, scope: site.provider.scopes_to_request.join(' ') },
    callOptions(site, backChannel, { [REMOTE_IP_HEADER]: address }),
  );
  const answer = await oauth.processGenericTokenEndpointResponse(server, client, response);
  const extension = answer['gatehouse'] as TokenExtension | undefined;
  // as published; ours is asked about this token again, and knows access tokens only
  const token = extension === undefined ? (answer.id_token ?? answer.access_token) : answer.access_token;
  const payload = await verifier.verify(site, token);
  return right(newSession(site, token, payload, extension, asked));
}

/**
 * What the server did not sign, or is over, it is not asked about. It alone knows the rest: whether the token is an access
 * token, was revoked, and whether a provider that this one trusts made it. Our server answers with a token of this provider
 * with the claims as they are now; of others the token presented must be this provider's own.
 */
async function introspect(site: Site, token: string, { backChannel, verifier, now }: ServerAccess): Promise<Verdict> {
  const asked = now();
  const checks = site.provider.gatehouse === undefined ? 'all' : 'signature';
  const presented = await verifier.verify(site, token, checks).catch((error: unknown) => {
    if (error instanceof CodedError && error.code !== 'login-server-unreachable') return undefined;
    throw error;
  });
  if (presented === undefined) return NO_TOKEN_OF_OURS;
  const server = serverOf(site);
  const client = clientOf(site);
  const response = await oauth.introspectionRequest(
    server,
    client,
    oauth.ClientSecretPost(site.provider.client_secret),
    token,
    callOptions(site, backChannel),
  );
  const answer = await oauth.processIntrospectionResponse(server, client, response);
  if (!answer.active) return refusalOf(answer['gatehouse']) ?? WRONG;
  const extension = answer['gatehouse'] as IntrospectionExtension | undefined;
  const own = extension?.access_token ?? token;
  const payload = await verifier.verify(site, own);
  if (answer.sub !== presented.sub || payload.sub !== presented.sub) {
    throw new Error('the server told about another token than it was asked about');
  }
  return right(newSession(site, own, payload, extension, asked));
}

/** Also where the server does not say what the session was made from, it was no login that could be repeated. */
const right = (session: Session): Verdict => ({
  kind: 'right',
  session: { ...session, credentials: session.credentials ?? [] },
});

/** What is wrong with the client or the server is nobody's wrong password. */
function refuses({ status, error }: oauth.ResponseBodyError): boolean {
  return status < 500 && status !== 429 && error !== 'invalid_client';
}

function refusalOf(extension: unknown): Verdict | undefined {
  const { denied, wait } = (extension ?? {}) as RefusalExtension;
  if (typeof denied === 'string') return { kind: 'denied', detail: denied };
  return typeof wait === 'number' ? { kind: 'limited' } : undefined;
}
