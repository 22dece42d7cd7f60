/** First-run set-up: the one-time link from the terminal sets the administrator's password, once. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { html } from '../../look/html.ts';
import { page } from '../../look/page.ts';
import { texts } from '../../look/texts.ts';
import { completeSetup, setupTokenValid } from '../bootstrap/setup-token.ts';
import type { ServerContext } from '../context.ts';
import { hashPassword } from '../directory/passwords.ts';
import { updateUser } from '../directory/users.ts';
import { redirect, sendError, sendPage, surroundings } from './answers.ts';
import { CSRF_FIELD, formToken } from './cookies.ts';
import { formOf, queryOf } from './forms.ts';
import { field } from './login.ts';
import { loginPath, PORTAL, SETUP } from './paths.ts';
import { checkForm } from './same-origin.ts';
import { signIn } from './session.ts';

/** NIST SP 800-63B asks for at least eight; an administrator can do better. */
const LEAST = 10;

export function setupRoutes(ctx: ServerContext, scope: FastifyInstance): void {
  scope.get(`/${SETUP}`, async (request, reply) => {
    const token = queryOf(request).text('token');
    if (!(await setupTokenValid(ctx.db, token))) return sendError(ctx, request, reply, 'setup-closed', { status: 403 });
    return sendSetup(ctx, request, reply, { token, email: '', errors: {} });
  });

  scope.post(`/${SETUP}`, async (request, reply) => {
    const form = formOf(request);
    checkForm(request, form);
    const token = queryOf(request).text('token');
    if (!(await setupTokenValid(ctx.db, token))) return sendError(ctx, request, reply, 'setup-closed', { status: 403 });
    const password = form.text('password');
    const email = form.text('email').trim();
    const errors = {
      email: email === '' || /^[^\s@]+@[^\s@]+$/.test(email) ? undefined : texts.setup.emailWrong,
      password: [...password].length < LEAST ? texts.setup.tooShort(LEAST) : undefined,
      repeat: password === form.text('repeat') ? undefined : texts.setup.different,
    };
    if (Object.values(errors).some((e) => e !== undefined)) {
      return sendSetup(ctx, request, reply, { token, email, errors }, 400);
    }
    const hash = await hashPassword(password);
    const admin = await ctx.change(async (tx) => {
      const user = await completeSetup(tx, token, hash);
      return email === '' ? user : updateUser(tx, user.id, { email });
    });
    const signedIn = await signIn(ctx, request, reply, admin);
    return redirect(reply, signedIn ? ctx.settings.webPath + PORTAL : loginPath(ctx.settings, {}), 303);
  });
}

interface SetupState {
  token: string;
  email: string;
  errors: { email?: string | undefined; password?: string | undefined; repeat?: string | undefined };
}

function sendSetup(
  ctx: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  state: SetupState,
  status = 200,
): FastifyReply {
  const { token, email, errors } = state;
  const t = texts.setup;
  const action = `${ctx.settings.webPath}${SETUP}?${new URLSearchParams({ token }).toString()}`;
  const rendered = page({
    ...surroundings(ctx, request),
    title: t.title,
    body: html`<div class="card">
      <h1>${t.heading}</h1>
      <p class="quiet">${t.what}</p>
      <form class="main" method="post" action="${action}">
        <input type="hidden" name="${CSRF_FIELD}" value="${formToken(ctx, request, reply)}" />
        <input type="hidden" name="username" value="akadmin" autocomplete="username" />
        ${field({ name: 'email', label: t.email, type: 'email', autocomplete: 'email', value: email, error: errors.email, required: false })}
        ${field({ name: 'password', label: t.password, type: 'password', autocomplete: 'new-password', value: '', error: errors.password, hint: t.passwordHint(LEAST), least: LEAST, focus: true })}
        ${field({ name: 'repeat', label: t.repeat, type: 'password', autocomplete: 'new-password', value: '', error: errors.repeat, least: LEAST })}
        <button type="submit">${t.submit}</button>
      </form>
    </div>`,
  });
  return sendPage(reply, rendered, status);
}
