/**
 * The private socket (docs/architecture.md, decision 6): only a worker that knows this boot's credentials may speak,
 * and what it says about the client is the only truth about the client.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { LINK_HEADERS } from '../contract/extension.ts';

/** What is known about a request. */
export interface Link {
  /** address of the client, resolved over trusted hops; empty on internal calls */
  clientIp: string;
  scheme: 'http' | 'https';
  /** authority the browser used, lower case; empty on internal calls */
  host: string;
  /** the outpost itself calls, not a visitor through it */
  internal: boolean;
  requestId: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    link: Link;
  }
}

/** Secrets of this boot, known to the workers. */
export interface LinkCredentials {
  /** shown with every request */
  link: string;
  /** shown besides by calls the outpost makes itself */
  internal: string;
}

/** @returns whether two secrets are equal, in time that tells nothing */
export function sameSecret(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/**
 * Checks the credentials in these headers and removes every header of the link from them.
 * @returns `undefined` when nobody vouches for the request, or it is said to be both or neither of a visitor's and the
 *   outpost's own: a visitor whose address is missing must never count as the outpost
 */
export function takeLink(headers: IncomingHttpHeaders, credentials: LinkCredentials): Link | undefined {
  const take = (name: string): string => {
    const value = headers[name];
    delete headers[name];
    return typeof value === 'string' ? value : '';
  };
  const presented = take(LINK_HEADERS.credential);
  const presentedInternal = take(LINK_HEADERS.internal);
  const clientIp = take(LINK_HEADERS.peer);
  const scheme = take(LINK_HEADERS.scheme);
  const host = take(LINK_HEADERS.host).toLowerCase();
  const requestId = take(LINK_HEADERS.requestId);
  if (!isCredential(presented, credentials.link)) return undefined;
  const internal = presentedInternal !== '';
  if (internal && !isCredential(presentedInternal, credentials.internal)) return undefined;
  if (internal !== (clientIp === '')) return undefined;
  return { clientIp, scheme: scheme === 'https' ? 'https' : 'http', host, internal, requestId };
}

const isCredential = (presented: string, credential: string) => credential !== '' && sameSecret(presented, credential);

/** Puts the check in front of everything else on this server. */
export function enforceLink(app: FastifyInstance, credentials: LinkCredentials): void {
  app.decorateRequest('link');
  app.addHook('onRequest', async (request, reply) => {
    const link = takeLink(request.raw.headers, credentials);
    if (link === undefined) {
      // Answered here: nothing further in may run for a request nobody vouches for, not even an error page.
      return reply.code(403).type('text/plain').send('This socket is private to Gatehouse. Use its public address.');
    }
    // Whoever reads forwarding headers further in (a library) must not meet what a client wrote there.
    for (const name of Object.keys(request.raw.headers)) {
      if (name === 'forwarded' || name.startsWith('x-forwarded-')) delete request.raw.headers[name];
    }
    if (!link.internal) request.raw.headers.host = link.host;
    request.link = link;
    return undefined;
  });
}
