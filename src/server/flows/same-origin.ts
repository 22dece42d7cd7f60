/** Refuses forms that did not come from our own pages (spec/security.md G). */
import type { FastifyRequest } from 'fastify';
import { CodedError } from '../../contract/errors.ts';
import { texts } from '../../look/texts.ts';
import { CSRF_FIELD, formTokenMatches } from './cookies.ts';
import type { Form } from './forms.ts';

/**
 * @throws CodedError `not-same-origin` when the browser says the form came from elsewhere, `form-expired` when it does
 *   not carry this browser's token
 */
export function checkForm(request: FastifyRequest, form: Form): void {
  if (!fromOurPages(request)) throw refusal('not-same-origin');
  if (!formTokenMatches(request, form.text(CSRF_FIELD))) throw refusal('form-expired');
}

/** Browsers say where a form came from in at least one of two headers; clients without both are no browsers. */
function fromOurPages(request: FastifyRequest): boolean {
  const site = request.headers['sec-fetch-site'];
  // Sent to https and localhost only, and then more telling than Origin: it needs no guess about our own scheme
  if (site !== undefined) return site === 'same-origin';
  const { origin } = request.headers;
  return origin === undefined || origin === `${request.link.scheme}://${request.link.host}`;
}

function refusal(code: 'not-same-origin' | 'form-expired'): CodedError {
  const { what, todo } = texts.errors[code];
  return new CodedError(code, 403, `${what} ${todo}`);
}
