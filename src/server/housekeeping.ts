/** Removes what is over and rotates keys. Nothing relies on it: every limit is checked at use. */
import type { ServerContext } from './context.ts';
import { pruneTokens, rotateTokens } from './directory/tokens.ts';
import { pruneAudit } from './events/audit.ts';
import { pruneIdentityLog } from './events/identity-log.ts';
import { pruneOutpostChanges } from './outposts/changes.ts';

const EVERY_MS = 10 * 60_000;

/** @returns a function that stops it */
export function startHousekeeping(ctx: ServerContext): () => void {
  const timer = setInterval(() => {
    tidy(ctx).catch((error: unknown) => ctx.log.warn({ err: error }, 'old entries were not removed'));
  }, EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** One round. */
export function tidy(ctx: ServerContext): Promise<void> {
  return ctx.change(async (tx) => {
    await ctx.sessions.prune(tx);
    await pruneTokens(tx.db, tx.now);
    await rotateTokens(tx);
    await pruneAudit(tx.db, tx.now);
    await pruneIdentityLog(tx.db, tx.now);
    await pruneOutpostChanges(tx.db);
  });
}
