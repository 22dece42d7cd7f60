/**
 * What identity events say about sessions (docs/architecture.md, decision 2). Events are numbered: a session is
 * concerned by every event that names it with a larger number than its own cursor. No clock decides that.
 */
import { goesOn } from '../../contract/extension.ts';
import type { Cursor, IdentityEvent, IdentityEventBatch, SignOutReport } from '../../contract/extension.ts';
import type { Session } from './session.ts';

export type Standing =
  | 'live'
  /** over: sign in again */
  | 'ended'
  /** still signed in, but the claims may be outdated: ask for new ones */
  | 'stale';

/** Largest numbers of the events about one subject. 0 = none. */
interface Mark {
  deny: number;
  refresh: number;
  /** epoch ms: no session made before can live longer */
  until: number;
}

/** An end without a number; both epoch ms. */
interface Ended {
  /** when it was heard of here */
  at: number;
  until: number;
}

const PRUNE_EVERY_MS = 60_000;

export class Revocations {
  /** grows with every change: a standing that was found at this version still holds */
  version = 0;

  #epoch: string | undefined;
  /** last number of each earlier epoch that the present one goes on from */
  #former: ReadonlyMap<string, number> = new Map();
  readonly #sessions = new Map<string, Mark>();
  /** `provider sid` */
  readonly #applications = new Map<string, Mark>();
  readonly #credentials = new Map<string, Mark>();
  readonly #users = new Map<string, Mark>();
  readonly #providers = new Map<number, Mark>();
  #everybody: Mark = { deny: 0, refresh: 0, until: 0 };
  /** by sid, ends that carry no number: published instruction, sign-outs made here */
  readonly #endedSids = new Map<string, Ended>();
  /** `provider sid` */
  readonly #signedOut = new Map<string, Ended>();
  #prunedAt = 0;
  /** epoch ms: sessions issued before must ask, whatever events say; 0 = events come */
  #askedSince = 0;

  /**
   * No events come although the server can be asked, or none ever came: what was issued before must ask again.
   * @param at epoch ms; undefined = events come (again)
   */
  unfollowed(at: number | undefined): void {
    this.#askedSince = at ?? 0;
    this.version++;
  }

  /** Applies a batch; a snapshot replaces everything learnt from earlier ones. */
  apply(batch: IdentityEventBatch, now: number): void {
    if (batch.snapshot || (this.#epoch !== undefined && !goesOn(batch, this.#epoch))) {
      for (const map of this.#marks()) map.clear();
      this.#everybody = { deny: 0, refresh: 0, until: 0 };
    }
    if (batch.former !== undefined || batch.epoch !== this.#epoch) {
      this.#former = new Map(batch.former?.map(({ epoch, n }) => [epoch, n]));
    }
    this.#epoch = batch.epoch;
    for (const event of batch.events) this.#applyOne(event);
    this.version++;
    this.#prune(now);
  }

  #applyOne(event: IdentityEvent): void {
    switch (event.kind) {
      case 'session-ended':
        mark(this.#sessions, event.sid, event, 'deny');
        break;
      case 'application-ended':
        mark(this.#applications, applicationKey(event.provider, event.sid), event, 'deny');
        break;
      case 'credential-ended':
        mark(this.#credentials, event.credential, event, 'deny');
        break;
      case 'user-changed':
        mark(this.#users, event.uid, event, event.effect);
        break;
      case 'provider-changed':
        mark(this.#providers, event.provider, event, 'refresh');
        break;
      case 'everybody':
        this.#everybody[event.effect] = Math.max(this.#everybody[event.effect], event.n);
        break;
    }
  }

  /**
   * The published session-end instruction: this session is over, whatever its number. Where it comes from an official
   * server, only what was begun before it is: such a server may go on with the same session (spec/server.md 9 and 14), and
   * whoever were refused for ever would be sent to and fro between the two.
   * @param until epoch ms after which no token of it can be valid
   */
  endSid(sid: string, until: number, now: number): void {
    if (sid === '') return; // would name every session that has none
    this.#endedSids.set(sid, { at: now, until });
    this.version++;
    this.#prune(now);
  }

  /**
   * A sign-out made at an outpost of this machine.
   * @param everything the whole server session is over, not only this application's login
   */
  signOut(report: SignOutReport, everything: boolean, until: number, now: number): void {
    if (report.sid !== '' && everything) this.#endedSids.set(report.sid, { at: now, until });
    else this.#signedOut.set(signedOutKey(report.provider, report.sid, report.uid), { at: now, until });
    this.version++;
    this.#prune(now);
  }

  standing(session: Session): Standing {
    const { sid, sub } = session.claims;
    const end = sid === '' ? undefined : this.#endedSids.get(sid);
    if (end !== undefined && (session.cursor.epoch !== '' || session.issuedAt <= end.at)) return 'ended';
    const out = this.#signedOut.get(signedOutKey(session.provider, sid, sub));
    if (out !== undefined && session.issuedAt <= out.at) return 'ended';
    const unasked = session.issuedAt < this.#askedSince;
    if (this.#epoch === undefined) return unasked ? 'stale' : 'live';

    const logins = [
      sid === '' ? undefined : this.#sessions.get(sid),
      ...(session.credentials ?? []).map((credential) => this.#credentials.get(credential)),
    ];
    const others = [
      sid === '' ? undefined : this.#applications.get(applicationKey(session.provider, sid)),
      this.#users.get(sub),
      this.#providers.get(session.provider),
      this.#everybody,
    ];
    const n = this.#comparable(session.cursor);
    if (denied(logins, n ?? 0)) return 'ended';
    // A number that cannot be compared must ask. It is mostly from a server that was started again and whose log is not
    // followed yet: whoever signs in there after a denial must not be sent to and fro, so the number counts that far.
    if (denied(others, n ?? session.cursor.n)) return 'ended';
    if (n === undefined || unasked) return 'stale';
    return [...logins, ...others].some((m) => m !== undefined && m.refresh > n) ? 'stale' : 'live';
  }

  /**
   * @returns the position as a number of the log that is followed. A session whose answer named none (something on the way
   *   took our header out) is concerned by all that names it.
   */
  #comparable({ epoch, n }: Cursor): number | undefined {
    if (epoch === '') return 0;
    return epoch === this.#epoch || n <= (this.#former.get(epoch) ?? -1) ? n : undefined;
  }

  /** How many entries are remembered, for tests and metrics. */
  get size(): number {
    return [...this.#marks(), this.#endedSids, this.#signedOut].reduce((sum, { size }) => sum + size, 0);
  }

  /** everything that is known by number and about a single subject */
  #marks(): Map<unknown, Mark>[] {
    return [this.#sessions, this.#applications, this.#credentials, this.#users, this.#providers] as Map<
      unknown,
      Mark
    >[];
  }

  #prune(now: number): void {
    if (now - this.#prunedAt < PRUNE_EVERY_MS) return;
    this.#prunedAt = now;
    for (const map of this.#marks()) {
      for (const [key, entry] of map) if (entry.until < now) map.delete(key);
    }
    for (const map of [this.#endedSids, this.#signedOut]) {
      for (const [key, entry] of map) if (entry.until < now) map.delete(key);
    }
  }
}

const denied = (marks: (Mark | undefined)[], n: number) => marks.some((m) => m !== undefined && m.deny > n);

function mark<K>(map: Map<K, Mark>, key: K, event: IdentityEvent, effect: 'deny' | 'refresh'): void {
  const entry = map.get(key) ?? { deny: 0, refresh: 0, until: 0 };
  entry[effect] = Math.max(entry[effect], event.n);
  entry.until = Math.max(entry.until, event.until);
  map.set(key, entry);
}

const applicationKey = (provider: number, sid: string) => `${provider} ${sid}`;
const signedOutKey = (provider: number, sid: string, uid: string) => applicationKey(provider, sid || `u:${uid}`);
