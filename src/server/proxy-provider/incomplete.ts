/**
 * Claims that are missing because Python did not come to them (it is being started, or too much waits). What a login
 * begins with stays as long as the session: so outposts ask again soon. After a while it counts as a failure like any
 * other, and the claims are left out.
 */
import { LRUCache } from 'lru-cache';
import { CodedError } from '../../contract/errors.ts';
import type { ServerContext } from '../context.ts';
import { personChanged } from '../directory/changed.ts';
import type { UserRow } from '../storage/rows.ts';

/** Longer than a start and a few slow expressions take. */
const HICCUP_MS = 2 * 60_000;

/** Nothing was heard of somebody for so long: what was before has nothing to do with what comes. */
const FORGOTTEN_MS = 10 * 60_000;
const MAX_PEOPLE = 10_000;

/**
 * Whether mappings did not run, for no fault of theirs. `unavailable`: Python did not come to them. `crowded`: too many
 * calls for the same person wait, which only a login puts up with.
 */
export type Incomplete = false | 'unavailable' | 'crowded';

/** By person, when Python began not to come to them, epoch ms. One for all would begin anew with anybody it did come to. */
const shortages = new WeakMap<ServerContext, LRUCache<number, number>>();

export function noteRun(ctx: ServerContext, user: UserRow, incomplete: Incomplete): void {
  if (incomplete === 'crowded') return; // their own calls were before it
  const people = shortages.get(ctx) ?? new LRUCache<number, number>({ max: MAX_PEOPLE, ttl: FORGOTTEN_MS });
  shortages.set(ctx, people);
  if (incomplete === false) people.delete(user.id);
  else people.set(user.id, people.get(user.id) ?? Date.now());
}

interface Completeness {
  incomplete: Incomplete;
}

function isHiccup(ctx: ServerContext, user: UserRow, { incomplete }: Completeness): boolean {
  const since = shortages.get(ctx)?.get(user.id);
  return incomplete === 'unavailable' && since !== undefined && Date.now() - since < HICCUP_MS;
}

/** To be called when a login was given its claims: outposts ask for them once more. */
export async function askAgainLater(ctx: ServerContext, user: UserRow, evaluated: Completeness): Promise<void> {
  if (evaluated.incomplete === 'crowded' || isHiccup(ctx, user, evaluated))
    await ctx.change((tx) => personChanged(tx, user.uid, 'refresh'));
}

/** For an outpost that asks: it serves the claims it has and tries again. @throws CodedError `claims-incomplete` */
export function refuseIncomplete(ctx: ServerContext, user: UserRow, evaluated: Completeness): void {
  if (!isHiccup(ctx, user, evaluated)) return;
  throw new CodedError('claims-incomplete', 503, 'Scope mappings cannot be evaluated now. Try again in a moment.');
}
