/** Issuers and endpoints: everything below one base address and one application slug (spec/server.md 1, 5.2). */
import type { FastifyRequest } from 'fastify';
import type { ServerContext } from '../context.ts';

/**
 * The base address to speak as: the one this request came to if it is on the list, else the main one. The Host header
 * never makes an address of its own.
 */
export function baseOf(ctx: ServerContext, request: FastifyRequest): string {
  const asked = `${request.link.scheme}://${request.link.host}${ctx.settings.webPath}`.replace(/\/$/, '');
  return ctx.baseAddress.allowed().includes(asked) ? asked : ctx.baseAddress.current();
}

/**
 * The base address an outpost is told. The embedded one names any address on its private socket; browsers know the
 * current one.
 */
export const baseForOutpost = (ctx: ServerContext, request: FastifyRequest): string =>
  request.link.internal ? ctx.baseAddress.current() : baseOf(ctx, request);

/** @param base without trailing slash, web path included */
export function issuerOf(base: string, slug: string): string {
  return `${base}/application/o/${slug}/`;
}

/** Every issuer this application may have been addressed by. */
export function acceptedIssuers(ctx: ServerContext, slug: string): string[] {
  return ctx.baseAddress.allowed().map((base) => issuerOf(base, slug));
}
