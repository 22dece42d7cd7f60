/** `/application/o/<slug>/end-session/`: an application asks to sign out (spec/server.md 5.10). */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { html } from '../../look/html.ts';
import { donePage, mainLink, secondLink } from '../../look/message.ts';
import { texts } from '../../look/texts.ts';
import { launchUrl } from '../access/applications.ts';
import type { ServerContext } from '../context.ts';
import type { LiveSession } from '../directory/sessions.ts';
import { redirect, sendError, sendPage, surroundings } from '../flows/answers.ts';
import { CSRF_FIELD, formToken } from '../flows/cookies.ts';
import { formOf, queryOf } from '../flows/forms.ts';
import { signOutForm } from '../flows/logout.ts';
import { PORTAL } from '../flows/paths.ts';
import { checkForm } from '../flows/same-origin.ts';
import { actorOf, currentSession, displayName, signOut } from '../flows/session.ts';
import { settingsOf } from '../proxy-provider/providers.ts';
import { clientBySlug } from './clients.ts';
import type { Client } from './clients.ts';
import type { SlugParams } from './discovery.ts';
import { verifyIssued } from './tokens.ts';

export function endSessionRoutes(ctx: ServerContext, scope: FastifyInstance): void {
  const path = '/application/o/:slug/end-session/';
  const find = (request: FastifyRequest) => clientBySlug(ctx.db, (request.params as SlugParams).slug);

  scope.get(path, async (request, reply) => {
    const client = await find(request);
    if (client === undefined) return sendError(ctx, request, reply, 'not-found', { status: 404 });
    const live = await currentSession(ctx, request);
    const hint = queryOf(request).text('id_token_hint');
    if (hint !== '') {
      const claims = await verifyIssued(ctx, hint, client, { expired: 'accepted' });
      if (claims === undefined) return sendError(ctx, request, reply, 'hint-invalid', { status: 400 });
      // The hint proves that the application speaks for this very session: no second click
      if (live !== undefined && claims['sid'] === live.session.sid) {
        await endFor(ctx, request, reply, client, live);
        return sendEnded(ctx, request, reply, client, live);
      }
    }
    return live === undefined
      ? sendEnded(ctx, request, reply, client, undefined)
      : sendQuestion(ctx, request, reply, client, live);
  });

  scope.post(path, async (request, reply) => {
    const client = await find(request);
    if (client === undefined) return sendError(ctx, request, reply, 'not-found', { status: 404 });
    const form = formOf(request);
    // Applications may post here from their own site; browsers send no Lax cookie with that, but do with a GET
    if (form.text(CSRF_FIELD) === '') {
      const at = request.url.indexOf('?');
      const here = at < 0 ? request.url : request.url.slice(0, at);
      return redirect(reply, `${here}?${form.parameters.toString()}`, 303);
    }
    checkForm(request, form);
    const live = await currentSession(ctx, request);
    if (live !== undefined) await endFor(ctx, request, reply, client, live);
    return sendEnded(ctx, request, reply, client, live);
  });
}

/** Ends what this provider's `sign_out` says: the login at this application, or everything. */
async function endFor(
  ctx: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  client: Client,
  live: LiveSession,
) {
  if (settingsOf(client.provider).sign_out !== 'application') return signOut(ctx, request, reply, live);
  await ctx.change(
    async (tx) => {
      await ctx.sessions.forgetApplication(tx, live.session.sid, client.provider.client_id);
      await tx.audit('logout', { app: 'gatehouse.oidc', context: { application: client.application.slug } });
    },
    actorOf(live.user, request),
  );
}

function sendQuestion(
  ctx: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { application, provider }: Client,
  live: LiveSession,
) {
  const question =
    settingsOf(provider).sign_out === 'application'
      ? texts.logout.questionApplication
      : texts.logout.questionEverything;
  const action = `${ctx.settings.webPath}application/o/${application.slug}/end-session/`;
  const rendered = donePage({
    ...surroundings(ctx, request),
    title: texts.logout.title,
    what: question(displayName(live.user), application.name),
    actions: [
      html`<form class="inline" method="post" action="${action}">
        <input type="hidden" name="${CSRF_FIELD}" value="${formToken(ctx, request, reply)}" />
        <button type="submit">${texts.logout.submit}</button>
      </form>`,
      secondLink(ctx.settings.webPath + PORTAL, texts.logout.stay),
    ],
  });
  return sendPage(reply, rendered);
}

/** @param live the session the sign-out was made in, if there was one */
function sendEnded(
  ctx: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  client: Client,
  live: LiveSession | undefined,
) {
  const { application, provider } = client;
  const partly = live !== undefined && settingsOf(provider).sign_out === 'application';
  const back = launchUrl(application, provider.external_host, live?.user);
  const rendered = donePage({
    ...surroundings(ctx, request),
    title: texts.logout.doneApplication(application.name),
    what: partly ? texts.logout.doneApplicationHint : texts.logout.doneEverything(application.name),
    actions: [
      mainLink(back, texts.logout.returnTo(application.name)),
      partly && signOutForm(ctx, request, reply, { label: texts.logout.everything, look: 'second' }),
    ],
  });
  return sendPage(reply, rendered);
}
