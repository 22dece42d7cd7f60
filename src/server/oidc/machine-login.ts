/**
 * Who signs in without a browser (spec/server.md 5.6). What is shown decides, in the published order: a token of a
 * trusted provider, a username with an app password, the client secret. Account passwords are never looked at.
 */
import type { ServerContext } from '../context.ts';
import { findToken } from '../directory/tokens.ts';
import { foldUsername, userById } from '../directory/users.ts';
import type { Form } from '../flows/forms.ts';
import { sameSecret } from '../link.ts';
import { providerSecrets } from '../proxy-provider/providers.ts';
import type { UserRow } from '../storage/rows.ts';
import { acceptedAccessToken, madeFrom, mayBeMadeFrom } from './accepted.ts';
import { clientAccount } from './client-account.ts';
import type { Client, PresentedCredentials } from './clients.ts';
import type { Attempt, WrongCredentials } from './wrong-credentials.ts';

/** With this username the password is an access token (seed 002). */
const TOKEN_USER = 'goauthentik.io/token';
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

export interface MachineLogin {
  user: UserRow;
  /** published words of the audit log */
  method: 'token' | 'jwt' | 'oauth_client_secret';
  methodArgs: Readonly<Record<string, string>>;
  /** what the token depends on */
  from: {
    sid: string;
    authTime: number;
    amr: readonly string[];
    origins?: readonly string[];
    notAfter?: number;
  };
  /** what it may have at most; absent = whatever the provider has */
  scopes?: readonly string[];
  /** Whether all of this still holds: what ended it may have come before there was a token to end. */
  stands(): Promise<boolean>;
}

/** `account` is what was tried, for the audit log */
export type Refused =
  | { refused: 'wrong'; account: string; repeated: boolean }
  | { refused: 'wait'; seconds: number }
  /** right, but made from others in so many steps that nothing more is made from it */
  | { refused: 'chain' };

export interface MachineRequest {
  client: Client;
  /** of the token request; the secret may be empty */
  presented: PresentedCredentials;
  form: Form;
  /** of the client, empty when unknown */
  address: string;
}

export async function machineLogin(
  ctx: ServerContext,
  wrong: WrongCredentials,
  request: MachineRequest,
): Promise<MachineLogin | Refused> {
  const { client, presented, form, address } = request;
  const username = form.text('username');
  if (form.parameters.has('client_assertion_type')) {
    const assertion = form.text('client_assertion') || presented.secret;
    const known = form.text('client_assertion_type') === ASSERTION_TYPE;
    return attempt(wrong.attempt('', address, assertion), 'client assertion', async () =>
      known ? byToken(ctx, client, assertion) : undefined,
    );
  }
  if (username === TOKEN_USER) {
    const token = form.text('password');
    return attempt(wrong.attempt('', address, token), username, () => byToken(ctx, client, token));
  }
  if (username !== '') return withAppPassword(ctx, wrong, address, username, form.text('password'));
  const pair = isClientSecret(ctx, client, presented.secret) ? undefined : readPair(presented.secret);
  if (pair !== undefined) return withAppPassword(ctx, wrong, address, pair.username, pair.password);
  const account = `client ${client.provider.client_id}`;
  return attempt(wrong.attempt(account, address, presented.secret), account, () =>
    bySecret(ctx, client, presented.secret, address),
  );
}

async function attempt(
  { wait, repeated, right }: Attempt,
  account: string,
  check: () => Promise<MachineLogin | Refused | undefined>,
): Promise<MachineLogin | Refused> {
  if (wait > 0) return { refused: 'wait', seconds: wait };
  const login = await check();
  if (login === undefined) return { refused: 'wrong', account, repeated };
  right();
  return login;
}

function withAppPassword(
  ctx: ServerContext,
  wrong: WrongCredentials,
  address: string,
  username: string,
  password: string,
): Promise<MachineLogin | Refused> {
  const account = foldUsername(username);
  return attempt(wrong.attempt(account, address, password), account, () => byAppPassword(ctx, account, password));
}

/** @param account folded username: an app password is good for its owner's name only */
async function byAppPassword(ctx: ServerContext, account: string, key: string): Promise<MachineLogin | undefined> {
  const find = () => (key === '' ? undefined : findToken(ctx.db, key, ['app_password']));
  const found = await find();
  if (found === undefined || found.user.username_folded !== account) return undefined;
  const { token, user } = found;
  return {
    user,
    method: 'token',
    methodArgs: { identifier: token.identifier },
    from: {
      sid: '',
      authTime: Date.now(),
      amr: [],
      origins: [token.uuid],
      ...(token.expiring === 1 && token.expires !== null ? { notAfter: token.expires } : {}),
    },
    stands: async () => (await find())?.token.uuid === token.uuid,
  };
}

/** Its own tokens a provider gives out anew with what they had; those of a trusted one with what is asked for. */
async function byToken(ctx: ServerContext, client: Client, token: string): Promise<MachineLogin | Refused | undefined> {
  const accepted = await acceptedAccessToken(ctx, token, client);
  if (accepted === undefined) return undefined;
  if (!mayBeMadeFrom(accepted)) return { refused: 'chain' };
  const own = accepted.client.provider.id === client.provider.id;
  return {
    user: accepted.user,
    method: 'jwt',
    methodArgs: { provider: accepted.client.provider.name },
    from: madeFrom(accepted),
    ...(own ? { scopes: accepted.scopes } : {}),
    stands: async () => (await acceptedAccessToken(ctx, token, client)) !== undefined,
  };
}

async function bySecret(
  ctx: ServerContext,
  client: Client,
  secret: string,
  clientIp: string,
): Promise<MachineLogin | undefined> {
  if (!isClientSecret(ctx, client, secret)) return undefined;
  const user = await clientAccount(ctx, client, { user: undefined, clientIp });
  if (user.is_active === 0) return undefined;
  return {
    user,
    method: 'oauth_client_secret',
    methodArgs: {},
    from: { sid: '', authTime: Date.now(), amr: [] },
    stands: async () => (await userById(ctx.db, user.id))?.is_active === 1,
  };
}

export function isClientSecret(ctx: ServerContext, { provider }: Client, secret: string): boolean {
  return secret !== '' && sameSecret(secret, providerSecrets(ctx.keyring, provider).client_secret);
}

/** Published for clients that can send nothing but a secret: base64 of `username:app password`. */
function readPair(secret: string): { username: string; password: string } | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(secret)) return undefined;
  const [, username = '', password = ''] = /^([^:]+):(.+)$/.exec(Buffer.from(secret, 'base64').toString('utf8')) ?? [];
  return username === '' ? undefined : { username, password };
}
