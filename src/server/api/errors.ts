/**
 * What a failed call of the REST API answers (spec/server.md 10): 400 with messages per field, everything else
 * `{"detail": "…"}`; 403 also for missing or wrong credentials, as published.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { isResponseSerializationError } from 'fastify-type-provider-zod';
import { CodedError, InvalidInput } from '../../contract/errors.ts';

/** The object is not there, or not for the caller's eyes: both look the same. */
export const notFound = (): CodedError => new CodedError('not-found', 404, 'Not found.');

export const forbidden = (sentence = 'You do not have permission to perform this action.'): CodedError =>
  new CodedError('forbidden', 403, sentence);

/** One problem of one field. */
export const invalid = (field: string, sentence: string): InvalidInput => new InvalidInput({ [field]: [sentence] });

/** Fastify error handler of the API. Only our own sentences and Fastify's about the request itself leave the house. */
export function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  if (error instanceof InvalidInput) {
    void reply.code(400).send(error.fields);
  } else if (error instanceof CodedError) {
    if (error.status >= 500) request.log.error({ code: error.code, detail: error.detail }, error.message);
    void reply.code(error.status).send({ detail: error.message });
  } else if (
    typeof error.code === 'string' &&
    error.code.startsWith('FST_ERR_CTP_') &&
    (error.statusCode ?? 500) < 500
  ) {
    void reply.code(error.statusCode ?? 400).send({ detail: error.message });
  } else if (error instanceof SyntaxError && error.statusCode === 400) {
    // the body's text is not repeated: it may hold a secret
    void reply.code(400).send({ detail: 'JSON parse error: the body is not valid JSON.' });
  } else {
    const problem = isResponseSerializationError(error) ? { err: error, issues: error.cause.issues } : { err: error };
    request.log.error(problem, 'An API call failed unexpectedly');
    void reply.code(500).send({
      detail: `Something went wrong in the server. Its log has the reason under the request id ${request.id}.`,
    });
  }
}

/** Fastify not-found handler of the API. A trailing slash is part of the address (spec/server.md 1). */
export function answerNotFound(request: FastifyRequest, reply: FastifyReply): void {
  const path = request.url.split('?', 1)[0] ?? '';
  const hint = path.endsWith('/') ? '' : ' Addresses of this API end with a slash.';
  void reply.code(404).send({ detail: `Not found.${hint}` });
}
