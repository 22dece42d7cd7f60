/** Who is asking (spec/outpost.md 4): the session cookie. Without one, {@link file://./credentials/credentials.ts}. */
import { LiveSession } from '../session/live.ts';
import type { LiveSessions } from '../session/live.ts';
import type { Revocations, Standing } from '../session/revocations.ts';
import { firstClosed } from '../sites/applications.ts';
import type { SiteApplication } from '../sites/applications.ts';
import type { Site } from '../sites/site.ts';

/** What is known about the sender. `stale` is settled by {@link file://./refresh.ts} before anything is decided. */
export type Identity = (
  | {
      kind: 'nobody';
      reason: 'no-session' | 'session-unreadable' | 'session-expired' | 'session-ended';
      /** what is wrong with the Authorization header there is */
      credentials?: CredentialProblem;
    }
  | {
      kind: 'person';
      reason: 'session' | 'session-refreshed' | 'session-grace' | 'credentials' | 'credentials-cached';
      live: LiveSession;
      /** cookies that carry refreshed claims back to the browser */
      setCookies: readonly string[];
    }
  | {
      kind: 'denied';
      /** undefined = credentials of somebody whom the server names no further */
      live: LiveSession | undefined;
      detail: string;
      /** the one of a domain that is closed to the person; undefined = the site as a whole */
      application?: SiteApplication;
    }
  | { kind: 'unsettled'; live: LiveSession }
) & {
  /** known by the Authorization header, which no application may see then (spec/security.md M) */
  consumed?: true;
};

/**
 * `invalid`: wrong, or nothing we know. `limited`: too many wrong ones came from there. `unchecked`: the identity server
 * cannot be asked.
 */
export type CredentialProblem = 'credentials-invalid' | 'credentials-limited' | 'credentials-unchecked';

export type StaleIdentity = { kind: 'stale'; live: LiveSession };

const NO_COOKIES: readonly string[] = [];

/** Nobody's objects never change: made once. */
const NOBODY = {
  'no-session': { kind: 'nobody', reason: 'no-session' },
  'session-unreadable': { kind: 'nobody', reason: 'session-unreadable' },
  'session-expired': { kind: 'nobody', reason: 'session-expired' },
  'session-ended': { kind: 'nobody', reason: 'session-ended' },
} as const satisfies Record<string, Identity>;

/**
 * Reads the session cookie of a site. Synchronous: no disk, no network.
 * @param cookies the Cookie header
 * @param now epoch ms
 */
export function identify(
  site: Site,
  cookies: string | undefined,
  sessions: LiveSessions,
  revocations: Revocations,
  now: number,
): Identity | StaleIdentity {
  const values = site.cookie.candidates(cookies);
  let worst: Identity = values.length === 0 ? NOBODY['no-session'] : NOBODY['session-unreadable'];
  for (const value of values) {
    const live = openLive(site, value, sessions, now);
    if (live === undefined) continue;
    const identity = stand(live, revocations, now);
    if (identity.kind !== 'nobody') return identity;
    worst = identity;
  }
  return worst;
}

function openLive(site: Site, value: string, sessions: LiveSessions, now: number): LiveSession | undefined {
  const known = sessions.get(site, value);
  if (known !== undefined) return known;
  const session = site.cookie.open(value);
  if (session === undefined) return undefined;
  const live = new LiveSession(site, session);
  sessions.add(value, live, now);
  return live;
}

/** A session that does not say what a rule must know is stale: it is older than the rule, or than this version. */
function standingOf({ site, session }: LiveSession, revocations: Revocations): Standing {
  const standing = revocations.standing(session);
  const unknown = session.ruleGroups === undefined && site.rules.groups.length > 0;
  return standing === 'live' && unknown ? 'stale' : standing;
}

/** Where an opened session stands now. Expiry is checked at every use. */
export function stand(live: LiveSession, revocations: Revocations, now: number): Identity | StaleIdentity {
  if (live.session.expiresAt <= now) return NOBODY['session-expired'];
  if (live.seenVersion !== revocations.version) {
    live.standing = standingOf(live, revocations);
    live.seenVersion = revocations.version;
  }
  if (live.standing === 'ended') return NOBODY['session-ended'];
  if (live.standing === 'stale' || lacksApplications(live)) return { kind: 'stale', live };
  return { kind: 'person', reason: 'session', live, setCookies: NO_COOKIES };
}

/** From before applications were bound to hosts of the domain: the server is asked which ones are open. */
function lacksApplications({ site, session }: LiveSession): boolean {
  return site.applications?.anyBound === true && session.applications === undefined && session.cursor.epoch !== '';
}

/**
 * Who somebody is at certain applications of a domain: a person who may not open all of them is denied.
 * @param applications as {@link SiteApplications.asked} finds them; empty where there is one application only
 */
export function identityAt(identity: Identity, applications: readonly SiteApplication[]): Identity {
  if (identity.kind !== 'person' || applications.length === 0) return identity;
  const { live } = identity;
  const open = live.session.applications;
  // from before logins named applications: they were for the provider's own
  if (open === undefined) return live.site.applications?.anyBound === false ? identity : { kind: 'unsettled', live };
  const application = firstClosed(applications, open);
  return application === undefined ? identity : { kind: 'denied', live, detail: 'other', application };
}
