/** What a person sees when a page fails. */
import type { FastifyError, FastifyInstance } from 'fastify';
import { CodedError } from '../../contract/errors.ts';
import { errorPage, secondLink } from '../../look/message.ts';
import { texts } from '../../look/texts.ts';
import type { ErrorCode } from '../../look/texts.ts';
import type { ServerContext } from '../context.ts';
import { sendError, sendPage, surroundings } from './answers.ts';
import { PORTAL } from './paths.ts';

/** Makes every error of this scope a page with a stable code; nothing internal is shown. */
export function pageErrors(ctx: ServerContext, scope: FastifyInstance): void {
  scope.setErrorHandler((error: FastifyError | CodedError, request, reply) => {
    if (!(error instanceof CodedError)) {
      const status = error.statusCode ?? 500;
      if (status < 500) return sendError(ctx, request, reply, 'form-expired', { status });
      ctx.log.error({ err: error, request_id: request.id }, 'a page failed');
      return sendError(ctx, request, reply, 'internal-error', { status: 500 });
    }
    if (error.status >= 500)
      ctx.log.error({ err: error, detail: error.detail, request_id: request.id }, 'a page failed');
    if (isListed(error.code)) return sendError(ctx, request, reply, error.code, { status: error.status });
    const page = errorPage({
      ...surroundings(ctx, request),
      title: texts.errors['internal-error'].title,
      what: error.message,
      todo: error.status >= 500 ? texts.errors['internal-error'].todo : texts.errors['authorize-failed'].todo,
      code: error.code,
      actions: [secondLink(ctx.settings.webPath + PORTAL, texts.home)],
    });
    return sendPage(reply, page, error.status);
  });
}

function isListed(code: string): code is ErrorCode {
  return Object.hasOwn(texts.errors, code);
}
