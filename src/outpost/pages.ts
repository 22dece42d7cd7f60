/** Pages of the outpost for people, and the same in JSON for programs. */
import type { CodedError } from '../contract/errors.ts';
import type { Generation } from '../contract/paths.ts';
import { html } from '../look/html.ts';
import type { HtmlValue } from '../look/html.ts';
import { denialPage, donePage, errorPage, mainLink, secondLink } from '../look/message.ts';
import { texts } from '../look/texts.ts';
import type { Finding } from '../look/texts-diagnosis.ts';
import { outpostTexts } from '../look/texts-outpost.ts';
import type { OutpostErrorCode } from '../look/texts-outpost.ts';
import { cookieHeaders, sendJson, sendPage } from './answer.ts';
import type { Exchange } from './exchange.ts';
import { challengesFor } from './identify/credentials/presented.ts';
import type { Diagnosis } from './login/diagnosis.ts';
import { wantsPage } from './navigation.ts';
import { corsHeaders } from './preflight.ts';
import type { LiveSession } from './session/live.ts';
import { ownEndpoint } from './sites/site.ts';
import type { Site } from './sites/site.ts';

export interface ProblemOptions {
  status?: number;
  site?: Site | undefined;
  setCookies?: readonly string[];
  /** what was found out about the cause, in place of what to do in general */
  findings?: readonly Finding[];
  /** facts that help to find the cause; no secrets */
  facts?: readonly (readonly [string, string])[];
  /** where "try again" leads */
  retry?: string | undefined;
  /** further headers: name, value, … */
  headers?: readonly string[];
  /** instead of asking whether the sender wants a page */
  asPage?: boolean;
}

/** An error by its code in the catalogue. */
export function sendProblem(exchange: Exchange, code: OutpostErrorCode, options: ProblemOptions = {}): void {
  const { status, title, what, todo } = outpostTexts.errors[code];
  answerProblem(exchange, { code, title, what, todo, status: options.status ?? status }, options);
}

/** An error of our own code that carries its sentence with it. */
export function sendCodedError(exchange: Exchange, error: CodedError, options: ProblemOptions = {}): void {
  if (isCatalogued(error.code)) return sendProblem(exchange, error.code, { status: error.status, ...options });
  const { refused: title, askOperator: todo } = outpostTexts;
  answerProblem(exchange, { code: error.code, title, what: error.message, todo, status: error.status }, options);
}

function isCatalogued(code: string): code is OutpostErrorCode {
  return Object.hasOwn(outpostTexts.errors, code);
}

interface ProblemText {
  code: string;
  title: string;
  what: string;
  todo: string;
  status: number;
}

/** seconds */
const RETRY_AFTER: Readonly<Record<number, string>> = { 429: '600', 503: '2' };

function answerProblem(exchange: Exchange, text: ProblemText, options: ProblemOptions): void {
  const { res, request } = exchange;
  const { status, code } = text;
  const later = RETRY_AFTER[status];
  const flat = [
    ...cookieHeaders(options.setCookies ?? []),
    ...(options.headers ?? []),
    ...(later === undefined ? [] : ['Retry-After', later]),
  ];
  if (!(options.asPage ?? wantsPage(request))) {
    const sentences = options.findings?.flatMap((found) => [found.what, found.todo]) ?? [text.todo];
    sendJson(res, status, { error: [text.what, ...sentences].join(' '), code, request_id: request.requestId }, flat);
    return;
  }
  const { site, retry, facts, findings } = options;
  const actions: HtmlValue[] = [
    retry !== undefined && mainLink(retry, outpostTexts.tryAgain),
    retry === undefined &&
      site !== undefined &&
      mainLink(site.external.href, outpostTexts.openApplication(site.application)),
  ];
  const { title, what, todo } = text;
  sendPage(
    res,
    status,
    errorPage({
      code,
      title,
      what,
      todo,
      actions,
      ...(findings ? { findings } : {}),
      ...(facts ? { facts } : {}),
      ...around(exchange),
    }),
    flat,
  );
}

/** A login that does not hold: a page that says what is wrong, and a line in the log that says it too. */
export function sendUnheld(
  exchange: Exchange,
  site: Site,
  code: 'login-loop' | 'login-cookie-missing',
  diagnosis: Diagnosis,
  retry: string,
): void {
  const { request, services } = exchange;
  const findings = diagnosis.map((found) => found.code);
  const { host, scheme, peer, trusted } = request;
  services.log.warn(
    { provider: site.pk, request: request.requestId, code, findings, host, scheme, peer, trusted },
    'a login does not hold',
  );
  sendProblem(exchange, code, { site, retry, asPage: true, findings: diagnosis });
}

/** Who was refused, and by what. */
export interface Denial {
  /** undefined = nobody is signed in, and a login would be in vain; or credentials of somebody who may not */
  live: LiveSession | undefined;
  /** the kind of rule that refused, a word of `texts.denied.reasons` */
  detail: string;
  /** the one of a domain that is closed; otherwise the site's own */
  application?: { readonly name: string } | undefined;
}

/** 401: the credentials in Authorization do not count here. */
export function sendUnauthorized(exchange: Exchange, site: Site): void {
  const headers = challengesFor(exchange.request.headers.authorization ?? '', site.meta.application);
  sendProblem(exchange, 'credentials-invalid', { site, headers });
}

/** Signed in, but may not; or a login would be in vain. */
export function sendDenial(
  exchange: Exchange,
  site: Site,
  { live, detail, application }: Denial,
  generation: Generation,
  asked: string,
): void {
  const { res, request } = exchange;
  if (live === undefined)
    return sendProblem(exchange, detail === 'rule-denies' ? 'rule-denies' : 'access-denied', { site });
  const name = application?.name ?? site.application;
  if (!wantsPage(request)) {
    const error = texts.denied.heading(name);
    sendJson(res, 403, { error, code: 'access-denied', request_id: request.requestId });
    return;
  }
  const reasons: Readonly<Record<string, string>> = texts.denied.reasons;
  const page = denialPage({
    application: name,
    person: { name: live.session.claims.name, username: live.user },
    asked,
    reasons: [reasons[detail] ?? texts.denied.reasons.other],
    switchAccount: secondLink(ownEndpoint(site, generation, '/sign_out'), texts.denied.switch) ?? html``,
    ...around(exchange),
  });
  sendPage(res, 403, page);
}

/** Nobody is signed in (any more). Does not lead to a login by itself. */
export function sendSignedOut(exchange: Exchange, site: Site, setCookies: readonly string[]): void {
  const page = donePage({
    title: outpostTexts.signedOut.title,
    what: outpostTexts.signedOut.what(site.application),
    actions: [mainLink(site.external.href, outpostTexts.openApplication(site.application))],
    ...around(exchange),
  });
  sendPage(exchange.res, 200, page, cookieHeaders(setCookies));
}

/** A login page would not work inside a frame: a page with a way out of it. */
export function sendFramed(exchange: Exchange, site: Site, loginUrl: string): void {
  const { title, what, todo } = outpostTexts.framed;
  const page = donePage({
    title,
    what: `${what(site.application)} ${todo}`,
    actions: [newWindow(loginUrl, outpostTexts.signIn)],
    ...around(exchange),
  });
  // the one page that is meant for frames: it holds nothing but the link
  const { 'X-Frame-Options': _denied, 'Content-Security-Policy': policy = '', ...headers } = page.headers;
  const framable = policy.replace(/;?\s*frame-ancestors [^;]*/, '');
  sendPage(exchange.res, 401, { ...page, headers: { ...headers, 'Content-Security-Policy': framable } });
}

/** The address is too long for a login to lead back to it: a page that keeps it, and a login beside it. */
export function sendTooLong(exchange: Exchange, site: Site, loginUrl: string, setCookies: readonly string[]): void {
  const { title, what, todo } = outpostTexts.tooLong;
  const page = donePage({
    title,
    what: what(site.application),
    more: todo,
    actions: [newWindow(loginUrl, outpostTexts.signIn)],
    script: RELOAD_WHEN_SEEN,
    ...around(exchange),
  });
  sendPage(exchange.res, 401, page, cookieHeaders(setCookies));
}

/** Comes back to life when the person comes back from the login, and asks for the same address again. */
const RELOAD_WHEN_SEEN = 'document.addEventListener("visibilitychange",()=>{if(!document.hidden)location.reload()});';

function newWindow(address: string, label: string): HtmlValue {
  return html`<a class="button" href="${address}" target="_blank" rel="noopener">${label}</a>`;
}

/** 401 for programs: where a person can sign in. */
export function sendChallenge(exchange: Exchange, site: Site, loginUrl: string): void {
  const { res, request } = exchange;
  const body = {
    error: outpostTexts.signInFirst(site.application),
    code: 'login-required',
    request_id: request.requestId,
    login_url: loginUrl,
  };
  const { headers: { origin = '' } } = request; // prettier-ignore
  const { preflight, preflightOrigins } = site.clients;
  // or the script, whose preflight was answered, would not see this answer
  const readable = preflight === 'answer' && preflightOrigins.has(origin) ? corsHeaders(origin) : [];
  const realm = site.meta.application.replace(/[^\w.-]/g, '');
  sendJson(res, 401, body, ['WWW-Authenticate', `Bearer realm="${realm}"`, ...readable]);
}

function around({ request }: Exchange): { requestId: string; serverLabel: string } {
  return { requestId: request.requestId, serverLabel: request.host };
}
