/** Grants `client_credentials` and `password` of the token endpoint, which are the same (spec/server.md 5.6). */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { EMBEDDED_OUTPOST_MANAGED } from '../../contract/api.ts';
import { EXTENSION_HEADER, REMOTE_IP_HEADER } from '../../contract/extension.ts';
import type { RefusalExtension } from '../../contract/extension.ts';
import { checkAccess } from '../access/check-access.ts';
import { checkSignIn } from '../access/domain-applications.ts';
import type { ServerContext } from '../context.ts';
import { writeAudit } from '../events/audit.ts';
import { readCursor } from '../events/identity-log.ts';
import type { Form } from '../flows/forms.ts';
import { tokenExtension } from '../proxy-provider/person-headers.ts';
import { scopeNames } from '../proxy-provider/scope-mappings.ts';
import { deleteArtefact } from './artefacts.ts';
import type { Client, PresentedCredentials } from './clients.ts';
import { baseOf, issuerOf } from './issuer.ts';
import { isClientSecret, machineLogin } from './machine-login.ts';
import type { MachineLogin } from './machine-login.ts';
import { noStore, sendTokenError } from './token-answers.ts';
import { ACCESS_TOKEN, issueTokens } from './tokens.ts';
import type { WrongCredentials } from './wrong-credentials.ts';

export const MACHINE_GRANTS: ReadonlySet<string> = new Set(['client_credentials', 'password']);

export interface MachineTokenRequest {
  client: Client;
  presented: PresentedCredentials;
  form: Form;
}

export async function sendMachineToken(
  ctx: ServerContext,
  wrong: WrongCredentials,
  request: FastifyRequest,
  reply: FastifyReply,
  asked: MachineTokenRequest,
): Promise<FastifyReply> {
  const { client, presented, form } = asked;
  const proven = request.link.internal || isClientSecret(ctx, client, presented.secret);
  const address = clientAddress(request, proven);
  // Headers and groups of a person are for the outpost only: whoever just knows an app password must not read them
  const extension = proven && request.headers[EXTENSION_HEADER.toLowerCase()] !== undefined;
  const refuse = (description: string, gatehouse: RefusalExtension) =>
    sendTokenError(reply, 'invalid_grant', description, extension ? { gatehouse } : {});

  // Before the claims are read: what happens after this is later than the token (docs/architecture.md, decision 2)
  const cursor = await readCursor(ctx.db);
  const login = await machineLogin(ctx, wrong, { client, presented, form, address });
  if ('refused' in login) {
    if (login.refused === 'wait') {
      void reply.header('retry-after', String(login.seconds));
      const description = `too many wrong credentials: try again in ${login.seconds} seconds`;
      return refuse(description, { wait: login.seconds });
    }
    if (login.refused === 'chain')
      return refuse('the token was made from others in too many steps: use the one it began with', {});
    if (!login.repeated) await reportFailure(ctx, address, client, login.account);
    return refuse('the credentials are not valid', {});
  }
  const { user, from } = login;
  // As where codes are redeemed: who knows no applications of a domain lets whoever has a token onto every host of it
  const access = extension
    ? await checkSignIn(ctx.db, user, client.provider, client.application)
    : await checkAccess(ctx.db, user, client.application);
  if (!access.passing) {
    return refuse('access to the application is denied', { denied: access.reasons[0] ?? 'denied' });
  }
  const scopes = grantedScopes(form.text('scope'), await scopeNames(ctx.db, client.provider.id), login.scopes);
  const tokens = await issueTokens(ctx, {
    ...client,
    ...from,
    user,
    issuer: issuerOf(baseOf(ctx, request), client.application.slug),
    scopes,
    clientIp: address,
    extension: extension || !(proven || (await servedElsewhere(ctx, client))),
  });
  // Whoever ended the credential meanwhile found no token to end
  if (tokens.expiresIn === 0 || !(await login.stands())) {
    await deleteArtefact(ctx.db, ACCESS_TOKEN, tokens.uid);
    return refuse('the credentials are not valid any more', {});
  }
  await reportLogin(ctx, address, client, login);
  const credentials = [...(from.origins ?? []), tokens.uid];
  return noStore(reply).send({
    access_token: tokens.accessToken,
    token_type: 'Bearer',
    scope: scopes.join(' '),
    expires_in: tokens.expiresIn,
    id_token: tokens.idToken,
    ...(extension
      ? {
          gatehouse: {
            ...(await tokenExtension(ctx.db, client.provider, user, tokens.evaluated, cursor)),
            credentials,
          },
        }
      : {}),
  });
}

/** Nothing asked for is nothing granted (spec/server.md 5.5). @param most what the login may have; absent = all */
function grantedScopes(asked: string, configured: readonly string[], most: readonly string[] | undefined): string[] {
  const wanted = new Set(asked.split(' '));
  return configured.filter((scope) => wanted.has(scope) && (most === undefined || most.includes(scope)));
}

/** Who shows the credentials. An outpost says it; what any other caller says in this header is its own invention. */
function clientAddress({ link, headers }: FastifyRequest, outpost: boolean): string {
  const told = headers[REMOTE_IP_HEADER.toLowerCase()];
  if (!outpost) return link.clientIp;
  return typeof told === 'string' ? told : link.internal ? '' : link.clientIp;
}

/**
 * Whether an outpost that may not be ours needs the attributes inside the token (docs/architecture.md, decision 9). It
 * shows no client secret, as published, so that anybody with an app password could read them there.
 */
async function servedElsewhere(ctx: ServerContext, { provider }: Client): Promise<boolean> {
  const other = await ctx.db
    .selectFrom('outpost_provider')
    .innerJoin('outpost', 'outpost.uuid', 'outpost_provider.outpost_uuid')
    .select('outpost.uuid')
    .where('provider_id', '=', provider.id)
    .where((e) => e.or([e('managed', 'is', null), e('managed', '!=', EMBEDDED_OUTPOST_MANAGED)]))
    .executeTakeFirst();
  return other !== undefined;
}

async function reportFailure(ctx: ServerContext, clientIp: string, client: Client, account: string): Promise<void> {
  const context = { username: account, stage: 'client_credentials', application: client.application.slug };
  const actor = { user: undefined, clientIp };
  await writeAudit(ctx.db, 'login_failed', { app: 'gatehouse.oidc', actor, context }, Date.now());
}

async function reportLogin(ctx: ServerContext, clientIp: string, client: Client, login: MachineLogin): Promise<void> {
  const { id: pk, username, email } = login.user;
  const actor = { user: { pk, username, email }, clientIp };
  const context = {
    auth_method: login.method,
    auth_method_args: login.methodArgs,
    application: client.application.slug,
  };
  await writeAudit(ctx.db, 'login', { app: 'gatehouse.oidc', actor, context }, Date.now());
}
