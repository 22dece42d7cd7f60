/** Tells outposts that people changed (contract/extension.ts). */
import type { Change } from '../context.ts';
import { headerNames } from './attributes.ts';
import type { Attributes } from './attributes.ts';
import { effectiveMemberUids } from './membership.ts';

/** From here on one event for everybody is cheaper than one for each. */
const MANY = 500;

export function personChanged(tx: Change, uid: string, effect: 'deny' | 'refresh'): Promise<void> {
  return tx.identity({ kind: 'user-changed', uid, effect });
}

/** Claims or access of everybody in these groups, descendants included, may have changed. */
export async function membersChanged(tx: Change, groupUuids: readonly string[]): Promise<void> {
  const uids = new Set<string>();
  for (const uuid of groupUuids) {
    for (const uid of await effectiveMemberUids(tx.db, uuid, MANY + 1)) uids.add(uid);
  }
  await peopleChanged(tx, [...uids]);
}

/** Claims of these people changed. */
export async function peopleChanged(tx: Change, uids: readonly string[]): Promise<void> {
  if (uids.length > MANY) return tx.identity({ kind: 'everybody', effect: 'refresh' });
  for (const uid of uids) await personChanged(tx, uid, 'refresh');
}

/**
 * Outposts strip every header an operator adds, wherever a client sends it: they must learn of a new name.
 * @param before attributes as stored, or `{}`
 */
export function headersChanged(tx: Change, before: string, after: Attributes | undefined): void {
  if (after === undefined) return;
  const known = new Set(headerNames(JSON.parse(before) as Attributes));
  if (headerNames(after).some((name) => !known.has(name))) tx.outpostsChanged('all');
}
