/** Sending pages: what all of them have in common on the server's side. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { errorPage, secondLink } from '../../look/message.ts';
import type { PageSurroundings } from '../../look/message.ts';
import type { RenderedPage } from '../../look/page.ts';
import { styleFile } from '../../look/style.ts';
import { texts } from '../../look/texts.ts';
import type { ErrorCode } from '../../look/texts.ts';
import type { ServerContext } from '../context.ts';
import type { Link } from '../link.ts';
import { PORTAL } from './paths.ts';

/** Small print and style sheet for a page of this server. */
export function surroundings(ctx: ServerContext, request: FastifyRequest): PageSurroundings {
  // absent when the link itself was refused, before anything was known about the request
  const link: Link | undefined = request.link;
  return {
    requestId: request.id,
    serverLabel: link?.host,
    stylesheet: `${ctx.settings.webPath}static/${styleFile}`,
  };
}

export function sendPage(reply: FastifyReply, page: RenderedPage, status = 200): FastifyReply {
  return reply.code(status).headers(page.headers).send(page.body);
}

/** An error page from the catalogue. */
export function sendError(
  ctx: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  code: ErrorCode,
  options: { status: number; facts?: readonly (readonly [string, string])[] },
): FastifyReply {
  const page = errorPage({
    ...surroundings(ctx, request),
    ...texts.errors[code],
    code,
    facts: options.facts ?? [],
    actions: [secondLink(ctx.settings.webPath + PORTAL, texts.home)],
  });
  return sendPage(reply, page, options.status);
}

/** A redirect that nobody may keep. */
export function redirect(reply: FastifyReply, location: string, status: 302 | 303 = 302): FastifyReply {
  return reply.code(status).header('cache-control', 'no-store').header('location', location).send();
}
