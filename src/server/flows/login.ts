/** The login page: one card, username and password, plain HTML. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { html } from '../../look/html.ts';
import type { Html } from '../../look/html.ts';
import { applicationIcon, page } from '../../look/page.ts';
import { texts } from '../../look/texts.ts';
import type { Refusal } from '../../rules/failure-limit.ts';
import type { ServerContext } from '../context.ts';
import { writeAudit } from '../events/audit.ts';
import type { ApplicationRow } from '../storage/rows.ts';
import { redirect, sendPage, surroundings } from './answers.ts';
import { CSRF_FIELD, formToken } from './cookies.ts';
import { CredentialCheck } from './credentials.ts';
import { applicationBehind } from './destination.ts';
import { formOf, queryOf } from './forms.ts';
import { KnownBrowsers } from './known-browser.ts';
import { AttemptLimiter } from './limiter.ts';
import { safeNext } from './next.ts';
import { loginPath, LOGIN, PORTAL } from './paths.ts';
import { checkForm } from './same-origin.ts';
import { currentSession, displayName, signIn } from './session.ts';

export interface LoginOptions {
  now?: () => number;
}

export function loginRoutes(ctx: ServerContext, scope: FastifyInstance, options: LoginOptions = {}): void {
  const browsers = new KnownBrowsers(ctx, options.now);
  const credentials = new CredentialCheck(ctx, new AttemptLimiter(options.now), browsers);

  scope.get(`/${LOGIN}`, async (request, reply) => {
    const visit = await readVisit(ctx, request);
    if (visit.signedInAs !== undefined && !visit.again) return redirect(reply, visit.target);
    return sendLogin(ctx, request, reply, visit, {});
  });

  scope.post(`/${LOGIN}`, async (request, reply) => {
    const form = formOf(request);
    checkForm(request, form);
    const visit = await readVisit(ctx, request);
    const username = form.text('username');
    const password = form.text('password');
    const errors: LoginErrors = {
      username: username.trim() === '' ? texts.login.usernameMissing : undefined,
      password: password === '' ? texts.login.passwordMissing : undefined,
    };
    if (errors.username !== undefined || errors.password !== undefined) {
      return sendLogin(ctx, request, reply, visit, { username, errors, status: 400 });
    }
    const result = await credentials.check(username, password, request);
    if (result.outcome === 'refused') return sendLimited(ctx, request, reply, result.refusal);
    if (result.outcome === 'wrong' || !(await signIn(ctx, request, reply, result.user))) {
      const actor = { user: undefined, clientIp: request.link.clientIp };
      const account = result.outcome === 'wrong' ? result.account : result.user.username_folded;
      const context = { username: account, stage: 'password' };
      await writeAudit(ctx.db, 'login_failed', { app: 'gatehouse.flows', actor, context }, Date.now());
      return sendLogin(ctx, request, reply, visit, { username, errors: { password: texts.login.wrong }, status: 400 });
    }
    browsers.remember(request, reply, result.user);
    return redirect(reply, visit.target, 303);
  });
}

interface Visit {
  next: string | undefined;
  /** where to after the login */
  target: string;
  again: boolean;
  signedInAs: string | undefined;
  application: ApplicationRow | undefined;
}

async function readVisit(ctx: ServerContext, request: FastifyRequest): Promise<Visit> {
  const query = queryOf(request);
  const next = safeNext(query.text('next'), ctx.settings.webPath);
  const live = await currentSession(ctx, request);
  return {
    next,
    target: next ?? ctx.settings.webPath + PORTAL,
    again: query.text('again') === '1',
    signedInAs: live === undefined ? undefined : displayName(live.user),
    application: await applicationBehind(ctx, next),
  };
}

interface LoginErrors {
  username?: string | undefined;
  password?: string | undefined;
}

interface LoginPage {
  username?: string;
  errors?: LoginErrors;
  status?: number;
}

function sendLogin(
  ctx: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  visit: Visit,
  state: LoginPage,
): FastifyReply {
  const { username = '', errors = {}, status = 200 } = state;
  const { application, next, again } = visit;
  const icon = application && applicationIcon(application.name, application.meta_icon);
  const heading = application === undefined ? texts.login.heading : texts.login.headingTo(application.name);
  const onPassword = username !== '' && errors.username === undefined;
  const body = html`<div class="card">
    ${
      icon === undefined
        ? html`<h1>${heading}</h1>`
        : html`<div class="going">
            ${icon.element}
            <h1>${heading}</h1>
          </div>`
    }
    ${again && html`<p class="quiet">${texts.login.again}</p>`}
    <form class="main" method="post" action="${loginPath(ctx.settings, { next, again })}">
      <input type="hidden" name="${CSRF_FIELD}" value="${formToken(ctx, request, reply)}" />
      ${field({ name: 'username', label: texts.login.username, type: 'text', autocomplete: 'username', value: username, error: errors.username, focus: !onPassword })}
      ${field({ name: 'password', label: texts.login.password, type: 'password', autocomplete: 'current-password', value: '', error: errors.password, focus: onPassword })}
      <button type="submit">${texts.login.submit}</button>
    </form>
  </div>`;
  const rendered = page({
    ...surroundings(ctx, request),
    title: heading,
    body,
    // what an application is asked for may be long, and stands in this address: not once more in each request from here
    referrer: 'origin',
    script: again ? KEEP_FRAGMENT : KEEP_FRAGMENT + FOLLOW_OTHER_TABS,
    connect: !again,
    imageSources: icon?.source === undefined ? [] : [icon.source],
    // The POST is answered with redirects that end at the application, and Chromium checks every hop against
    // form-action. Where an application sends people next is not ours to know, hence whole schemes, and only here.
    formTargets: application === undefined ? [] : ['http:', 'https:'],
  });
  return sendPage(reply, rendered, status);
}

interface Field {
  name: string;
  label: string;
  type: 'text' | 'password' | 'email';
  autocomplete: string;
  value: string;
  error?: string | undefined;
  hint?: string | undefined;
  focus?: boolean;
  required?: boolean;
  /** `minlength`, checked by the browser first */
  least?: number;
}

/** A labelled input whose error and hint are read out with it. */
export function field(f: Field): Html {
  const described = [f.hint !== undefined && `${f.name}-hint`, f.error !== undefined && `${f.name}-error`].filter(
    Boolean,
  );
  return html`<label for="${f.name}">${f.label}</label>
    <input
      id="${f.name}"
      name="${f.name}"
      type="${f.type}"
      value="${f.value}"
      autocomplete="${f.autocomplete}"
      autocapitalize="none"
      spellcheck="false"
      ${f.required !== false && html`required`}
      ${f.least !== undefined && html`minlength="${f.least}"`}
      ${described.length > 0 && html`aria-describedby="${described.join(' ')}"`}
      ${f.error !== undefined && html`aria-invalid="true"`}
      ${f.focus === true && html`autofocus`}
    />
    ${f.hint !== undefined && html`<p class="hint" id="${f.name}-hint">${f.hint}</p>`}
    ${f.error !== undefined && html`<p class="field-error" id="${f.name}-error" role="alert">${f.error}</p>`}`;
}

function sendLimited(
  ctx: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { reason, seconds }: Refusal,
): FastifyReply {
  const when = texts.durations.in(seconds);
  const rendered = page({
    ...surroundings(ctx, request),
    title: texts.limited.title,
    body: html`<div class="card">
      <h1>${texts.limited.title}</h1>
      <div class="note look"><p>${texts.limited.what[reason]}</p></div>
      <p>${texts.limited.todo(when)}</p>
    </div>`,
  });
  return sendPage(reply.header('retry-after', String(seconds)), rendered, 429);
}

/**
 * The part behind `#` never reaches a server. Browsers carry it over redirects: from the address first asked for to this
 * page, and from where the form is sent to the application. Between the two only the page itself can hand it on.
 */
const KEEP_FRAGMENT =
  'const f=document.forms[0];if(location.hash)f.setAttribute("action",f.getAttribute("action")+location.hash);';

/**
 * When another tab of this browser signs in, this one goes on by itself. The submitting tab announces itself; the
 * others then look whether this page already answers with a redirect. A tab that comes to the front looks as well.
 */
const FOLLOW_OTHER_TABS =
  'const c=new BroadcastChannel("gatehouse-login");' +
  // an address that differs before its #, or browsers would only scroll
  'const again=()=>location.pathname+(location.search?location.search+"&":"?")+location.hash;' +
  'const look=()=>fetch(location.href,{redirect:"manual"}).then(r=>{if(r.type==="opaqueredirect")location.replace(again())}).catch(()=>{});' +
  'c.onmessage=()=>{for(const s of[400,1200,3000,8000])setTimeout(look,s)};' +
  'document.addEventListener("visibilitychange",()=>{if(!document.hidden)look()});' +
  'document.forms[0].addEventListener("submit",()=>c.postMessage(1));';
