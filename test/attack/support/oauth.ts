/** An OAuth client written by hand, to be wrong in exactly one place at a time. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Api } from '../../harness/api.ts';
import { ask, one, story, type Answer, type Pair } from './ask.ts';
import type { Browser } from './browser.ts';
import type { Env, SiteName } from './env.ts';

export interface Client {
  id: string;
  secret: string;
  redirectUri: string;
  issuer: string;
}

/** RFC 7636 appendix B has the same shape: a verifier and its S256 challenge. */
export const VERIFIER = 'a-verifier-that-is-long-enough-for-rfc-7636-0123456789';
export const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url');

/** The API as the embedded outpost's service account sees it. */
export async function outpostApi(env: Env): Promise<Api> {
  const outpost = await env.provision.embedded();
  const identifier = String(outpost['token_identifier']);
  const { key } = await env.gatehouse.api.get(`core/tokens/${identifier}/view_key/`);
  return new Api(env.gatehouse.origin, String(key));
}

/** What the outpost of a site is as an OAuth client. */
export const clientOf = (env: Env, site: SiteName): Promise<Client> =>
  clientFor(env, { slug: site, provider: env.applications[site].provider, externalHost: env.url(site, '') });

/** The same of any provider. */
export async function clientFor(
  env: Env,
  { slug, provider, externalHost }: { slug: string; provider: number; externalHost: string },
): Promise<Client> {
  const providers = await (await outpostApi(env)).list('outposts/proxy/');
  const found = providers.find((p) => p['pk'] === provider);
  assert.ok(found, `the outpost is not told about ${slug}`);
  return {
    id: String(found['client_id']),
    secret: String(found['client_secret']),
    redirectUri: `${externalHost}/outpost.goauthentik.io/callback?X-authentik-auth-callback=true`,
    issuer: `${env.base}/application/o/${slug}/`,
  };
}

export function authorize(env: Env, browser: Browser, params: Record<string, string>): Promise<Answer> {
  return browser.visit(`${env.base}/application/o/authorize/?${new URLSearchParams(params).toString()}`);
}

/** Parameters of a proper request for a code. */
export const proper = (client: Client): Record<string, string> => ({
  client_id: client.id,
  redirect_uri: client.redirectUri,
  response_type: 'code',
  scope: 'openid profile email entitlements ak_proxy',
  state: 'state-of-the-case',
  nonce: 'nonce-of-the-case',
  code_challenge: CHALLENGE,
  code_challenge_method: 'S256',
});

/** A code for the person signed in in this browser. */
export async function codeFor(
  env: Env,
  browser: Browser,
  client: Client,
  more: Record<string, string> = {},
): Promise<string> {
  const answer = await authorize(env, browser, { ...proper(client), ...more });
  const location = one(answer, 'location');
  const code = location === '' ? null : new URL(location).searchParams.get('code');
  assert.ok(code !== null, `no code: ${story(answer)}`);
  return code;
}

export function post(
  env: Env,
  endpoint: string,
  form: Record<string, string>,
  headers: readonly Pair[] = [],
): Promise<Answer> {
  return ask({
    port: env.port,
    method: 'POST',
    host: new URL(env.base).host,
    path: `/application/o/${endpoint}/`,
    headers: [['Content-Type', 'application/x-www-form-urlencoded'], ...headers],
    body: new URLSearchParams(form).toString(),
  });
}

/** A proper redemption of a code. */
export const redemption = (client: Client, code: string): Record<string, string> => ({
  grant_type: 'authorization_code',
  code,
  redirect_uri: client.redirectUri,
  client_id: client.id,
  client_secret: client.secret,
  code_verifier: VERIFIER,
});

export interface Tokens {
  access_token: string;
  id_token: string;
  scope: string;
}

/** Tokens of the person signed in in this browser, at the client's own issuer. */
export async function tokensFor(env: Env, browser: Browser, client: Client): Promise<Tokens> {
  const answer = await post(env, 'token', redemption(client, await codeFor(env, browser, client)));
  assert.equal(answer.status, 200, `no tokens: ${story(answer)}`);
  return JSON.parse(answer.text) as Tokens;
}

/** @param what for the message */
export function notIssued(answer: Answer, what: string): void {
  assert.ok(answer.status >= 400 && answer.status < 500, `${what}: ${story(answer)}`);
  assert.ok(!answer.text.includes('access_token'), `${what}: ${story(answer)}`);
}
