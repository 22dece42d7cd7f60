/**
 * `/application/o/authorize/` (spec/server.md 5.4). The order: is this a known client, may it be answered at that
 * address, is somebody signed in, may they, and then oidc-provider makes the code.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { checkSignIn } from '../access/domain-applications.ts';
import type { ServerContext } from '../context.ts';
import type { LiveSession } from '../directory/sessions.ts';
import { modelRef, writeAudit } from '../events/audit.ts';
import { redirect, sendError } from '../flows/answers.ts';
import { sendDenied } from '../flows/denied.ts';
import { formOf, queryOf } from '../flows/forms.ts';
import { loginPath } from '../flows/paths.ts';
import { actorOf, currentSession } from '../flows/session.ts';
import { acceptedRedirectUris } from '../proxy-provider/redirect-uris.ts';
import { scopeNames } from '../proxy-provider/scope-mappings.ts';
import type { ApplicationRow } from '../storage/rows.ts';
import type { Client } from './clients.ts';
import { clientById } from './clients.ts';
import type { EngineAnswer, OidcEngine } from './engine.ts';
import { baseOf, issuerOf } from './issuer.ts';
import { verifyIssued } from './tokens.ts';

/** Added to the address a person returns to after proving again who they are: epoch seconds of the request. */
const PROVE_AFTER = 'gatehouse_prove_after';
/** How long such a demand counts as the same request. */
const PROVE_WITHIN_S = 15 * 60;

export function authorizeRoutes(ctx: ServerContext, scope: FastifyInstance, engine: OidcEngine): void {
  const reported = new LRUCache<string, true>({ max: 500, ttl: 10 * 60_000 });

  const handler = async (request: FastifyRequest, reply: FastifyReply) => {
    const received = (request.method === 'POST' ? formOf(request) : queryOf(request)).parameters;
    if (received.size === 0) return sendError(ctx, request, reply, 'authorize-empty', { status: 404 });
    const client = await clientById(ctx.db, only(received, 'client_id'));
    if (client === undefined) return sendError(ctx, request, reply, 'client-unknown', { status: 400 });
    const redirectUri = only(received, 'redirect_uri');
    if (!acceptedRedirectUris(client.provider.external_host).includes(redirectUri)) {
      await reportRedirectUri(ctx, request, client, redirectUri, reported);
      return sendError(ctx, request, reply, 'redirect-uri-wrong', {
        status: 400,
        facts: [['redirect_uri', redirectUri.slice(0, 300)]],
      });
    }

    const live = await currentSession(ctx, request);
    const demand = readDemand(received, live);
    const silent = demand.prompts.has('none');
    let open: readonly ApplicationRow[] = [client.application];
    if (live !== undefined && !demand.login) {
      const access = await checkSignIn(ctx.db, live.user, client.provider, client.application);
      if (!access.passing) {
        if (silent) return answerError(reply, redirectUri, received, 'access_denied');
        return sendDenied(ctx, request, reply, { ...client, live, ...access, next: authorizePath(ctx, received) });
      }
      if (silent && (await hintNamesAnother(ctx, received, client, live))) {
        return answerError(reply, redirectUri, received, 'login_required');
      }
      ({ open } = access);
    }

    const scopes = await scopeNames(ctx.db, client.provider.id);
    const parameters = await prepared(received, demand, scopes);
    const answer = await engine.run(
      issuerOf(baseOf(ctx, request), client.application.slug),
      scopes,
      { ctx, client, live, loginUrl: loginAddress(ctx, received, live), replayed: false },
      { method: 'GET', path: '/authorize', parameters },
    );
    return deliver(ctx, request, reply, { answer, client, live, open, scope: parameters.get('scope') ?? '' });
  };

  scope.get('/application/o/authorize/', handler);
  scope.post('/application/o/authorize/', handler);
}

interface Demand {
  prompts: Set<string>;
  /** the person has to prove who they are again, although signed in */
  login: boolean;
}

/** What the application demands about how fresh the sign-in is. */
function readDemand(received: URLSearchParams, live: LiveSession | undefined): Demand {
  const prompts = new Set(
    only(received, 'prompt')
      .split(' ')
      .filter((p) => ['none', 'login', 'consent'].includes(p)),
  );
  // 0 means the same as prompt=login (OpenID Connect Core 3.1.2.1)
  const wantsLogin = prompts.has('login') || only(received, 'max_age') === '0';
  const after = Number(only(received, PROVE_AFTER) || Number.NaN);
  const recent = after <= Date.now() / 1000 && after > Date.now() / 1000 - PROVE_WITHIN_S;
  const proven = live !== undefined && recent && live.session.created >= after * 1000;
  return { prompts, login: wantsLogin && !proven && !prompts.has('none') };
}

/** The request as oidc-provider shall see it. */
async function prepared(
  received: URLSearchParams,
  demand: Demand,
  scopes: readonly string[],
): Promise<URLSearchParams> {
  const parameters = new URLSearchParams(received);
  // oidc-provider would check the hint with its own key, which signs nothing; hintNamesAnother() checks it with ours
  for (const name of ['prompt', 'id_token_hint', PROVE_AFTER]) parameters.delete(name);
  if (only(received, 'max_age') === '0') parameters.delete('max_age');
  // Nothing asked for means everything this provider has; what it does not have is left out (spec/server.md 5.4)
  const asked = only(received, 'scope')
    .split(' ')
    .filter((s) => s !== '');
  const granted = asked.length === 0 ? [...scopes] : scopes.filter((s) => asked.includes(s));
  parameters.set('scope', granted.join(' '));
  const prompts = demand.prompts.has('none') ? ['none'] : [];
  if (demand.login) prompts.push('login');
  // oidc-provider drops offline_access without it; consent itself is implicit
  if (granted.includes('offline_access') && prompts.length === 0) prompts.push('consent');
  if (prompts.length > 0) parameters.set('prompt', prompts.join(' '));
  return parameters;
}

/** Where oidc-provider sends a person who has to sign in; the way back is the same request. */
function loginAddress(ctx: ServerContext, received: URLSearchParams, live: LiveSession | undefined): string {
  const back = new URLSearchParams(received);
  back.set(PROVE_AFTER, String(Math.floor(Date.now() / 1000)));
  return loginPath(ctx.settings, { next: authorizePath(ctx, back), again: live !== undefined });
}

function authorizePath(ctx: ServerContext, parameters: URLSearchParams): string {
  return `${ctx.settings.webPath}application/o/authorize/?${parameters.toString()}`;
}

interface Outcome {
  /** what this login opens: the client's own application, or else the first of its domain, and the others below it */
  open: readonly ApplicationRow[];
  answer: EngineAnswer;
  client: Client;
  live: LiveSession | undefined;
  scope: string;
}

async function deliver(ctx: ServerContext, request: FastifyRequest, reply: FastifyReply, outcome: Outcome) {
  const { answer, client, live, open, scope } = outcome;
  const [authorized = client.application, ...others] = open;
  if (answer.entities.AuthorizationCode !== undefined && live !== undefined) {
    await writeAudit(
      ctx.db,
      'authorize_application',
      {
        app: 'gatehouse.oidc',
        actor: actorOf(live.user, request),
        context: {
          authorized_application: modelRef('application', authorized.uuid, authorized.name),
          ...(others.length === 0 ? {} : { more_applications: others.map(({ slug }) => slug) }),
          flow: client.provider.authorization_flow,
          scopes: scope,
        },
      },
      Date.now(),
    );
  }
  const { location } = answer.headers;
  if (typeof location === 'string') return redirect(reply, location);
  if (answer.status === 200) {
    // response_mode=form_post: a page of oidc-provider's that posts the answer to the application
    const policy = answer.headers['content-security-policy'];
    if (typeof policy === 'string') void reply.header('content-security-policy', policy);
    return reply.header('cache-control', 'no-store').type('text/html; charset=utf-8').send(answer.body);
  }
  const error = errorWord(answer.body);
  return sendError(ctx, request, reply, 'authorize-failed', {
    status: answer.status >= 500 ? 500 : 400,
    facts: error === '' ? [] : [['error', error]],
  });
}

function errorWord(body: string): string {
  try {
    const { error, error_description } = JSON.parse(body) as { error?: unknown; error_description?: unknown };
    return [error, error_description].filter((part) => typeof part === 'string').join(': ');
  } catch {
    return '';
  }
}

/** The hint names the person the application believes to be signed in (OpenID Connect Core 3.1.2.1). */
async function hintNamesAnother(ctx: ServerContext, received: URLSearchParams, client: Client, live: LiveSession) {
  const hint = only(received, 'id_token_hint');
  if (hint === '') return false;
  const claims = await verifyIssued(ctx, hint, client, { expired: 'accepted' });
  return claims?.sub !== live.user.uid;
}

function answerError(reply: FastifyReply, redirectUri: string, received: URLSearchParams, error: string): FastifyReply {
  const target = new URL(redirectUri);
  target.searchParams.set('error', error);
  const state = only(received, 'state');
  if (state !== '') target.searchParams.set('state', state);
  return redirect(reply, target.href);
}

/** Told once in a while: anybody can ask with a wrong address, and the log is not theirs to fill. */
async function reportRedirectUri(
  ctx: ServerContext,
  request: FastifyRequest,
  { provider, application }: Client,
  used: string,
  reported: LRUCache<string, true>,
): Promise<void> {
  const key = `${provider.client_id} ${request.link.clientIp}`;
  if (reported.has(key)) return;
  reported.set(key, true);
  const context = {
    message: `Application ${application.name} asked with a redirect URI that is not registered for it.`,
    redirect_uri_used: used.slice(0, 500),
    redirect_uris_allowed: acceptedRedirectUris(provider.external_host),
    provider: modelRef('proxyprovider', provider.id, provider.name),
  };
  const actor = { user: undefined, clientIp: request.link.clientIp };
  await writeAudit(ctx.db, 'configuration_error', { app: 'gatehouse.oidc', actor, context }, Date.now());
}

/** A parameter given twice counts as absent where we decide by it; oidc-provider refuses the others. */
function only(parameters: URLSearchParams, name: string): string {
  const all = parameters.getAll(name);
  return all.length === 1 ? (all[0] ?? '') : '';
}
