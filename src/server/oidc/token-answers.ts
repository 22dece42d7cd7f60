/** Answers of the token endpoint (RFC 6749 5; spec/server.md 5.5). */
import type { FastifyReply } from 'fastify';

/**
 * @param description for developers; published form of every token endpoint error, also of a wrong secret
 * @param more members for our own outposts
 */
export function sendTokenError(
  reply: FastifyReply,
  error: string,
  description: string,
  more: Readonly<Record<string, unknown>> = {},
): FastifyReply {
  return noStore(reply)
    .code(400)
    .send({ error, error_description: description, ...more });
}

export function noStore(reply: FastifyReply): FastifyReply {
  return reply.header('cache-control', 'no-store').header('pragma', 'no-cache');
}
