/**
 * Ends of sessions that an official server told of. It says each once, to whoever is connected: a worker that starts
 * later, and this outpost after a restart, know them from here.
 */
import { DEFAULT_ACCESS_TOKEN_VALIDITY } from '../../contract/api.ts';
import type { ProxyOutpostConfig } from '../../contract/api.ts';

/** Clocks differ. */
const MARGIN_S = 3600;

export interface SessionEnd {
  sid: string;
  /** when it was told, epoch ms: sessions begun later are not concerned */
  at: number;
  /** epoch ms: no session made before can live longer */
  until: number;
}

export class SessionEnds {
  #ends = new Map<string, SessionEnd>();

  /** Takes what an earlier run kept. */
  load(ends: readonly SessionEnd[]): void {
    for (const end of ends) this.#ends.set(end.sid, end);
  }

  add(sid: string, providers: readonly ProxyOutpostConfig[], now: number): SessionEnd {
    const validities = providers.map((one) => one.access_token_validity ?? DEFAULT_ACCESS_TOKEN_VALIDITY);
    const longest = validities.reduce((a, b) => Math.max(a, b), DEFAULT_ACCESS_TOKEN_VALIDITY);
    const end = { sid, at: now, until: now + (longest + MARGIN_S) * 1000 };
    this.#ends.set(sid, end);
    return end;
  }

  /** What can still concern a session. */
  live(now: number): SessionEnd[] {
    for (const [sid, { until }] of this.#ends) if (until <= now) this.#ends.delete(sid);
    return [...this.#ends.values()];
  }
}
