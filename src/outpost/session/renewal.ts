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
 * An attempt that came to nothing (the server would have asked, or it went away meanwhile) leaves its cookie, so that a
 * renewal is not tried with every page. It is tried again after this share of the session's life: before the end, after
 * which scripts are refused.
 */
const AGAIN_AFTER = 1 / 8;
/** But never so soon that one attempt follows another without end: attempts say in whole seconds when they were begun. */
const AGAIN_AFTER_AT_LEAST_MS = 2000;

/** Whether this session should be renewed now. Not while the server is away, and not while an attempt is under way. */
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
  const life = expiresAt - issuedAt;
  if (now() - issuedAt < life / 2) return false;
  const again = Math.max(life * AGAIN_AFTER, AGAIN_AFTER_AT_LEAST_MS);
  return backChannel.up && !site.attempts.begunWithin(again, request.headers.cookie, now());
}
