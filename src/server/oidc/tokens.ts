/** Tokens of the OpenID Provider: RS256 JWTs with the published claims (spec/server.md 5.7). */
import { createHash, randomBytes } from 'node:crypto';
import { createLocalJWKSet, decodeJwt, errors, jwtVerify, SignJWT } from 'jose';
import type { JWTPayload } from 'jose';
import { signingKeys } from '../bootstrap/signing-keys.ts';
import type { SigningKey } from '../bootstrap/signing-keys.ts';
import type { ServerContext } from '../context.ts';
import { evaluateScopes } from '../proxy-provider/evaluate-scopes.ts';
import type { EvaluatedScopes } from '../proxy-provider/evaluate-scopes.ts';
import type { IssueRequest } from '../proxy-provider/issue.ts';
import { accessTokenSeconds } from '../proxy-provider/providers.ts';
import { findArtefact, saveArtefact } from './artefacts.ts';
import { askerOf } from './asker.ts';
import type { Client } from './clients.ts';
import { clientById } from './clients.ts';
import { acceptedIssuers } from './issuer.ts';
import { ACR, authTime } from './session-payload.ts';

/** Model name of the rows that say an access token is alive. */
export const ACCESS_TOKEN = 'AccessToken';

/** What is remembered of one: userinfo must not tell what the token was made without. */
interface AccessTokenPayload {
  attributes?: 'filtered' | 'none';
  /** of the machine it was made for */
  clientIp?: string | undefined;
}

export interface TokenRequest extends IssueRequest {
  nonce?: string | undefined;
}

export interface IssuedTokens {
  accessToken: string;
  idToken: string;
  /** seconds */
  expiresIn: number;
  /** by which the access token is remembered */
  uid: string;
  /** what its claims were made from */
  evaluated: EvaluatedScopes;
}

/** Issues an access token and the ID token beside it, and remembers the access token as alive. */
export async function issueTokens(ctx: ServerContext, request: TokenRequest): Promise<IssuedTokens> {
  const { provider, application, user, scopes, sid } = request;
  const [key] = await keysOf(ctx);
  if (key === undefined) throw new TypeError('there is no signing key: bootstrap makes one');
  const attributes = request.extension ? 'none' : 'filtered';
  const evaluated =
    request.evaluated ??
    (await evaluateScopes(ctx, {
      provider,
      application,
      user,
      scopes,
      attributes,
      purpose: request.purpose,
      asker: () => askerOf(ctx, sid, request.clientIp),
    }));
  const now = Math.floor(Date.now() / 1000);
  const longest = Math.floor((request.notAfter ?? Infinity) / 1000) - now;
  const expiresIn = Math.max(0, Math.min(accessTokenSeconds(provider), longest));
  const claims: JWTPayload = {
    ...evaluated.claims,
    // After the mappings: they add claims, they never replace what the protocol rests on
    iss: request.issuer,
    sub: user.uid,
    aud: provider.client_id,
    exp: now + expiresIn,
    iat: now,
    auth_time: authTime(request.authTime),
    acr: ACR,
    ...(request.amr.length === 0 ? {} : { amr: [...request.amr] }),
    ...(request.nonce === undefined ? {} : { nonce: request.nonce }),
    ...(sid === '' ? {} : { sid }),
  };
  const uid = request.renews ?? randomBytes(20).toString('hex');
  const sign = (payload: JWTPayload) =>
    new SignJWT(payload).setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT' }).sign(key.privateKey);
  const accessToken = await sign({ ...claims, azp: provider.client_id, uid, scope: scopes.join(' ') });
  const idToken = await sign({ ...claims, at_hash: halfHash(accessToken) });
  const issued = { accessToken, idToken, expiresIn, uid, evaluated };
  if (request.renews !== undefined) return issued;
  await saveArtefact(ctx, ACCESS_TOKEN, uid, { attributes, clientIp: request.clientIp } satisfies AccessTokenPayload, {
    grantId: request.grantId,
    sid: sid === '' ? undefined : sid,
    clientId: provider.client_id,
    userId: user.id,
    handle: uid,
    origins: request.origins,
    expires: (now + expiresIn) * 1000,
  });
  return issued;
}

/** OpenID Connect Core 3.1.3.6 */
function halfHash(text: string): string {
  return createHash('sha256').update(text, 'ascii').digest().subarray(0, 16).toString('base64url');
}

/** Opening the keys takes milliseconds and every token needs them; a rotation is noticed this much later. */
const KEYS_MS = 10_000;
const keyCache = new WeakMap<ServerContext, { until: number; keys: Promise<SigningKey[]> }>();

function keysOf(ctx: ServerContext): Promise<SigningKey[]> {
  const cached = keyCache.get(ctx);
  if (cached !== undefined && cached.until > Date.now()) return cached.keys;
  const keys = signingKeys(ctx);
  keyCache.set(ctx, { until: Date.now() + KEYS_MS, keys });
  keys.catch(() => keyCache.delete(ctx)); // a failure is never kept
  return keys;
}

/** The public keys, those of retired signing keys included. */
export async function jwks(ctx: ServerContext) {
  return { keys: (await keysOf(ctx)).map((key) => key.publicJwk) };
}

/**
 * Checks that a token was issued by this server to this client: signature by one of our keys (never one the token
 * brings along), algorithm, issuer, audience, and time unless told otherwise.
 * @returns the claims, or `undefined` for anything that is not such a token
 */
export async function verifyIssued(
  ctx: ServerContext,
  token: string,
  { provider, application }: Client,
  options: { expired?: 'refused' | 'accepted' } = {},
): Promise<JWTPayload | undefined> {
  try {
    const { payload } = await jwtVerify(token, createLocalJWKSet(await jwks(ctx)), {
      algorithms: ['RS256'],
      issuer: acceptedIssuers(ctx, application.slug),
      audience: provider.client_id,
      requiredClaims: ['sub', 'exp', 'iat'],
      // seen from the beginning of time nothing has expired
      ...(options.expired === 'accepted' ? { currentDate: new Date(0) } : {}),
    });
    return payload;
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

export interface LiveToken {
  client: Client;
  claims: JWTPayload;
  scopes: string[];
  uid: string;
  /** authorization it came from */
  grantId: string | null;
  attributes: 'filtered' | 'none';
  /** of the machine it was made for; undefined for a login, whose session knows */
  clientIp: string | undefined;
}

/**
 * An access token somebody presents.
 * @param client the client it must belong to; absent = the one it names as audience
 * @returns `undefined` unless it is ours, an access token, in time, not revoked, and its session still lives
 */
export async function liveAccessToken(
  ctx: ServerContext,
  token: string,
  client?: Client,
): Promise<LiveToken | undefined> {
  const owner = client ?? (await clientById(ctx.db, claimedAudience(token)));
  const claims = owner && (await verifyIssued(ctx, token, owner));
  if (owner === undefined || claims === undefined) return undefined;
  const { uid, azp, sid, sub } = claims;
  // An ID token has the same signature and audience, but neither of these
  if (typeof uid !== 'string' || azp !== owner.provider.client_id) return undefined;
  const artefact = await findArtefact(ctx, ACCESS_TOKEN, uid);
  if (artefact === undefined) return undefined;
  if (typeof sid === 'string') {
    const live = await ctx.sessions.findBySid(sid);
    if (live === undefined || live.user.uid !== sub) return undefined;
  }
  const scope = claims['scope'];
  const { attributes = 'filtered', clientIp } = artefact.payload as AccessTokenPayload;
  return {
    client: owner,
    claims,
    scopes: typeof scope === 'string' && scope !== '' ? scope.split(' ') : [],
    uid,
    grantId: artefact.grantId,
    attributes,
    clientIp,
  };
}

/** The audience before anything is proven: only to choose what to check against. */
function claimedAudience(token: string): string {
  try {
    const { aud } = decodeJwt(token);
    return typeof aud === 'string' ? aud : '';
  } catch {
    return '';
  }
}
