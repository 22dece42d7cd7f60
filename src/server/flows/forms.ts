/** Bodies of our forms: `application/x-www-form-urlencoded`, small, read as text fields. */
import type { FastifyInstance, FastifyRequest } from 'fastify';

const FORM = 'application/x-www-form-urlencoded';
const MAX_BYTES = 64 * 1024;

/** Fields of a form. A field given twice counts as absent: no reader must pick another one than the next. */
export class Form {
  readonly parameters: URLSearchParams;

  constructor(parameters: URLSearchParams) {
    this.parameters = parameters;
  }

  text(name: string): string {
    const all = this.parameters.getAll(name);
    return all.length === 1 ? (all[0] ?? '') : '';
  }
}

/** Makes this scope read form bodies. */
export function acceptForms(scope: FastifyInstance): void {
  if (scope.hasContentTypeParser(FORM)) scope.removeContentTypeParser(FORM);
  scope.addContentTypeParser(FORM, { parseAs: 'string', bodyLimit: MAX_BYTES }, (_request, body, done) => {
    done(null, new Form(new URLSearchParams(typeof body === 'string' ? body : '')));
  });
}

/** The form of a POST; empty when there was no body. */
export function formOf(request: FastifyRequest): Form {
  return request.body instanceof Form ? request.body : new Form(new URLSearchParams());
}

/** The query of a request, with the same rule for repeated names. */
export function queryOf(request: FastifyRequest): Form {
  const at = request.url.indexOf('?');
  return new Form(new URLSearchParams(at < 0 ? '' : request.url.slice(at + 1)));
}
