/** Refuses forms that did not come from our own pages (spec/security.md G). */
import type { FastifyRequest } from 'fastify';
import { CodedError } from '../../contract/errors.ts';
import { texts } from '../../look/texts.ts';
import { CSRF_FIELD, formTokenMatches, hasFormToken } from './cookies.ts';
import type { Form } from './forms.ts';

/**
 * A browser's own word about where a form came from decides. Without it (no browser, or an old one) the form must carry
 * this browser's token. The token alone could not decide: of tabs opened at the same moment only one keeps its cookie.
 * @throws CodedError `not-same-origin` when the browser says the form came from elsewhere, `form-expired` when nothing
 *   shows that it came from here
 */
export function checkForm(request: FastifyRequest, form: Form): void {
  const origin = saidOrigin(request);
  if (origin === 'other') throw refusal('not-same-origin');
  // Every page with a form sets the cookie: without any, cookies are blocked, and a sign-in would not hold
  if (origin === 'same' && hasFormToken(request)) return;
  if (!formTokenMatches(request, form.text(CSRF_FIELD))) throw refusal('form-expired');
}

function saidOrigin(request: FastifyRequest): 'same' | 'other' | 'unsaid' {
  const site = request.headers['sec-fetch-site'];
  // Sent to https and localhost only, and then more telling than Origin: it needs no guess about our own scheme
  if (site !== undefined) return site === 'same-origin' ? 'same' : 'other';
  const { origin } = request.headers;
  if (origin === undefined) return 'unsaid';
  return origin === `${request.link.scheme}://${request.link.host}` ? 'same' : 'other';
}

function refusal(code: 'not-same-origin' | 'form-expired'): CodedError {
  const { what, todo } = texts.errors[code];
  return new CodedError(code, 403, `${what} ${todo}`);
}
