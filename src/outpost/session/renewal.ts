/** Renewal of sessions past half their life (docs/architecture.md, decision 4). */
import type { Services } from '../exchange.ts';
import type { Identity } from '../identify/identify.ts';
import type { NormalisedRequest } from '../listen/request.ts';
import type { Site } from '../sites/site.ts';

/** Sealed, an address of this length is short enough to be taken along (session/attempt.ts), however it is written. */
const MAX_ADDRESS = 2000;

/**
 * Whether an address can be renewed at. Asked where requests are judged, not where `start` has one already: what is
 * sent there must come back renewed, or it would be sent there again.
 * @param asked path and query, or the whole address
 */
export const canRenewAt = (asked: string | undefined): boolean => asked === undefined || asked.length <= MAX_ADDRESS;

/**
 * Whether this session should be renewed now. Not while the server is away, and not while an attempt is under way:
 * its cookie stays for a while even when the renewal failed, so that one is not tried with every page.
 */
export function renewalDue(
  { now, backChannel }: Pick<Services, 'now' | 'backChannel'>,
  site: Site,
  identity: Identity,
  request: Pick<NormalisedRequest, 'headers'>,
): boolean {
  if (identity.kind !== 'person' || identity.reason === 'session-grace') return false;
  const { issuedAt, expiresAt, credentials } = identity.live.session;
  // there was no login that could be repeated, and whoever shows credentials follows no redirects
  if (credentials !== undefined) return false;
  if (now() - issuedAt < (expiresAt - issuedAt) / 2) return false;
  return backChannel.up && site.attempts.names(request.headers.cookie).length === 0;
}
