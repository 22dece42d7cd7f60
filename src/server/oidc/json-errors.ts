/** What programs get when an endpoint of the OpenID Provider fails (RFC 6749 5.2). */
import type { FastifyError, FastifyInstance } from 'fastify';
import { CodedError } from '../../contract/errors.ts';
import type { ServerContext } from '../context.ts';

/** What too many calls of one person wait for takes about as long. */
const RETRY_SECONDS = 5;

/** Makes every error of this scope JSON `{error, error_description}`; nothing internal is told. */
export function jsonErrors(ctx: ServerContext, scope: FastifyInstance): void {
  scope.setErrorHandler((error: FastifyError | CodedError, request, reply) => {
    const status = error instanceof CodedError ? error.status : (error.statusCode ?? 500);
    void reply.header('cache-control', 'no-store');
    if (error instanceof CodedError && status === 429) {
      void reply.code(status).header('retry-after', String(RETRY_SECONDS));
      return reply.send({ error: 'temporarily_unavailable', error_description: error.message });
    }
    if (status < 500) {
      const error_description = 'the body must be application/x-www-form-urlencoded and small';
      return reply.code(status).send({ error: 'invalid_request', error_description });
    }
    ctx.log.error({ err: error, request_id: request.id }, 'an endpoint of the OpenID Provider failed');
    const error_description = error instanceof CodedError ? error.message : 'the server failed; try again';
    return reply.code(status).send({ error: 'server_error', error_description });
  });
}
