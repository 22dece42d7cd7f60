/** Tells of `additionalHeaders` in a token that cannot be sent. Our own server checks them, and tells of its own. */
import type { Claims } from '../../contract/claims.ts';
import { parseAdditionalHeaders } from '../../contract/headers.ts';
import type { Exchange } from '../exchange.ts';
import type { Site } from '../sites/site.ts';

/** @param claims of a token just received */
export function reportSkippedHeaders(exchange: Exchange, site: Site, claims: Claims): void {
  const { problems } = parseAdditionalHeaders(claims.ak_proxy.user_attributes['additionalHeaders']);
  if (problems.length === 0) return;
  exchange.services.onProblem({
    code: 'headers-skipped',
    message: `Headers of ${claims.preferred_username || claims.sub} for ${site.provider.name} are left out.`,
    provider: site.pk,
    clientIp: exchange.request.clientAddress,
    context: {
      provider: site.provider.name,
      problems,
      hint: 'Correct "additionalHeaders" of the person or of a group.',
    },
  });
}
