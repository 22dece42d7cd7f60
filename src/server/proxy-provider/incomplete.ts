/**
 * Claims that are missing because Python did not come to them (it is being started, or too much waits). What a login
 * begins with stays as long as the session: so outposts ask again soon. After a while it counts as a failure like any
 * other, and the claims are left out.
 */
import { CodedError } from '../../contract/errors.ts';
import type { ServerContext } from '../context.ts';
import { personChanged } from '../directory/changed.ts';
import type { UserRow } from '../storage/rows.ts';

/** Longer than a start and a few slow expressions take. */
const HICCUP_MS = 2 * 60_000;

/** When Python began not to answer; until it does again. */
const shortages = new WeakMap<ServerContext, number>();

/** @param incomplete mappings did not run, for no fault of theirs */
export function noteRun(ctx: ServerContext, incomplete: boolean): void {
  if (!incomplete) shortages.delete(ctx);
  else if (!shortages.has(ctx)) shortages.set(ctx, Date.now());
}

interface Completeness {
  incomplete: boolean;
}

function isHiccup(ctx: ServerContext, { incomplete }: Completeness): boolean {
  const since = shortages.get(ctx);
  return incomplete && since !== undefined && Date.now() - since < HICCUP_MS;
}

/** To be called when a login was given its claims: outposts ask for them once more. */
export async function askAgainLater(ctx: ServerContext, user: UserRow, evaluated: Completeness): Promise<void> {
  if (isHiccup(ctx, evaluated)) await ctx.change((tx) => personChanged(tx, user.uid, 'refresh'));
}

/** For an outpost that asks: it serves the claims it has and tries again. @throws CodedError `claims-incomplete` */
export function refuseIncomplete(ctx: ServerContext, evaluated: Completeness): void {
  if (!isHiccup(ctx, evaluated)) return;
  throw new CodedError('claims-incomplete', 503, 'Scope mappings cannot be evaluated now. Try again in a moment.');
}
