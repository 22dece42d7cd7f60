/** Signing out of the server: a question with one button, then a page that does not sign in again by itself. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { html } from '../../look/html.ts';
import type { Html } from '../../look/html.ts';
import { donePage, mainLink, secondLink } from '../../look/message.ts';
import { texts } from '../../look/texts.ts';
import type { ServerContext } from '../context.ts';
import { redirect, sendPage, surroundings } from './answers.ts';
import { CSRF_FIELD, formToken } from './cookies.ts';
import { formOf } from './forms.ts';
import { safeNext } from './next.ts';
import { loginPath, LOGOUT, PORTAL } from './paths.ts';
import { checkForm } from './same-origin.ts';
import { currentSession, displayName, signOut } from './session.ts';

export function logoutRoutes(ctx: ServerContext, scope: FastifyInstance): void {
  scope.get(`/${LOGOUT}`, async (request, reply) => {
    const live = await currentSession(ctx, request);
    if (live === undefined) return sendSignedOut(ctx, request, reply);
    const rendered = donePage({
      ...surroundings(ctx, request),
      title: texts.logout.title,
      what: texts.logout.question(displayName(live.user)),
      actions: [
        signOutForm(ctx, request, reply, { label: texts.logout.submit }),
        secondLink(ctx.settings.webPath + PORTAL, texts.logout.stay),
      ],
    });
    return sendPage(reply, rendered);
  });

  scope.post(`/${LOGOUT}`, async (request, reply) => {
    const form = formOf(request);
    checkForm(request, form);
    const live = await currentSession(ctx, request);
    if (live !== undefined) await signOut(ctx, request, reply, live);
    // "Use another account": the login page with the same destination, never the destination itself
    const next = safeNext(form.text('next'), ctx.settings.webPath);
    return redirect(reply, next === undefined ? ctx.settings.webPath + LOGOUT : loginPath(ctx.settings, { next }), 303);
  });
}

export interface SignOutFormOptions {
  label: string;
  /** a path of this server: after signing out, the login page continues there */
  next?: string | undefined;
  /** CSS classes of the button */
  look?: string;
}

/** A button that signs out of everything. */
export function signOutForm(
  ctx: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  options: SignOutFormOptions,
): Html {
  return html`<form class="inline" method="post" action="${ctx.settings.webPath + LOGOUT}">
    <input type="hidden" name="${CSRF_FIELD}" value="${formToken(ctx, request, reply)}" />
    ${options.next !== undefined && html`<input type="hidden" name="next" value="${options.next}" />`}
    <button type="submit" class="${options.look ?? ''}">${options.label}</button>
  </form>`;
}

function sendSignedOut(ctx: ServerContext, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const rendered = donePage({
    ...surroundings(ctx, request),
    title: texts.logout.done,
    what: texts.logout.doneHint,
    actions: [mainLink(loginPath(ctx.settings), texts.logout.signInAgain)],
  });
  return sendPage(reply, rendered);
}
