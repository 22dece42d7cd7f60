import type { FastifyRequest } from 'fastify';
import type { ServerContext } from '../context.ts';

/**
 * Base address for what a caller is told (spec/server.md 5.2, 7.5): the one the request came to when it is one of the
 * allowed ones, else the current one. Never the Host header alone.
 * @returns URL without a slash at the end, web path included
 */
export function requestBase(ctx: ServerContext, { link }: FastifyRequest): string {
  const asked = `${link.scheme}://${link.host}${ctx.settings.webPath.replace(/\/$/, '')}`;
  return !link.internal && ctx.baseAddress.allowed().includes(asked) ? asked : ctx.baseAddress.current();
}
