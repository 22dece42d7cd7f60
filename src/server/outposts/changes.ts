/**
 * What changed in the configuration of each outpost (docs/architecture.md, decision 40): numbered per outpost, so that
 * our own fetch what is new to them instead of everything. Official ones fetch everything whenever they are told to.
 */
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { GATEHOUSE_VERSION } from '../../contract/version.ts';
import type { Change } from '../context.ts';
import type { Db } from '../storage/database.ts';

/** Changes kept for an outpost. One that missed more fetches everything. */
const KEPT = 1000;

/** What an outpost at some position lacks. */
export interface Missed {
  /** everything has to be fetched: the position is unknown, or something changed for all providers */
  whole: boolean;
  /** ids of providers that were changed, added or taken away since */
  providers: number[];
}

/** This provider is other than before, is served from now on, or is not any more. */
export async function noteProvider(tx: Change, provider: number, outposts: readonly string[]): Promise<void> {
  await note(tx, outposts, provider);
}

/** Every provider of these outposts, or of all, is to be fetched anew. */
export async function noteEverything(tx: Change, outposts: readonly string[] | 'all'): Promise<void> {
  if (outposts !== 'all') return note(tx, outposts, null);
  const rows = await tx.db.selectFrom('outpost').select('uuid').execute();
  await note(
    tx,
    rows.map((row) => row.uuid),
    null,
  );
}

/**
 * Where the log of an outpost ends. Read it before the configuration it shall vouch for: what changes meanwhile is then
 * told once more.
 * @returns opaque text; it also says which release of this program made the configuration
 */
export async function configurationCursor(db: Db, outpost: string): Promise<string> {
  const last = await db
    .selectFrom('outpost_change')
    .select(['n', 'mark'])
    .where('outpost_uuid', '=', outpost)
    .orderBy('n', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow();
  return textOf(last);
}

/** @param cursor as {@link configurationCursor} gave it to this outpost, or anything else */
export async function missedSince(db: Db, outpost: string, cursor: string): Promise<Missed> {
  const n = Number(/^(\d{1,15})\./.exec(cursor)?.[1] ?? -1);
  const [known, ...later] = await db
    .selectFrom('outpost_change')
    .select(['n', 'mark', 'provider_id'])
    .where('outpost_uuid', '=', outpost)
    .where('n', '>=', n)
    .orderBy('n')
    .execute();
  if (known === undefined || textOf(known) !== cursor) return { whole: true, providers: [] };
  const providers = new Set<number>();
  for (const { provider_id } of later) {
    if (provider_id === null) return { whole: true, providers: [] };
    providers.add(provider_id);
  }
  return { whole: false, providers: [...providers] };
}

/** Forgets what nobody should need any more. The newest entry stays: it holds the position. */
export async function pruneOutpostChanges(db: Db): Promise<void> {
  const ends = await db
    .selectFrom('outpost_change')
    .select((e) => ['outpost_uuid' as const, e.fn.max<number>('n').as('n')])
    .groupBy('outpost_uuid')
    .execute();
  for (const { outpost_uuid, n } of ends) {
    await db
      .deleteFrom('outpost_change')
      .where('outpost_uuid', '=', outpost_uuid)
      .where('n', '<=', n - KEPT)
      .execute();
  }
}

const textOf = (row: { n: number; mark: string }) => `${row.n}.${row.mark}.${GATEHOUSE_VERSION}`;

/** Numbers rise by one for each outpost: one transaction at a time. */
async function note(tx: Change, outposts: readonly string[], provider: number | null): Promise<void> {
  if (outposts.length === 0) return;
  const mark = randomBytes(8).toString('hex');
  await tx.db
    .insertInto('outpost_change')
    .columns(['outpost_uuid', 'n', 'provider_id', 'mark'])
    .expression((e) =>
      e
        .selectFrom('outpost')
        .where('outpost.uuid', 'in', outposts)
        .select((q) => [
          'outpost.uuid',
          q
            .fn<number>('coalesce', [
              q
                .selectFrom('outpost_change')
                .whereRef('outpost_change.outpost_uuid', '=', 'outpost.uuid')
                .select((c) => sql<number>`${c.fn.max('n')} + 1`.as('next')),
              sql.lit(1),
            ])
            .as('n'),
          sql<number | null>`${provider}`.as('provider_id'),
          sql<string>`${mark}`.as('mark'),
        ]),
    )
    .execute();
  tx.outpostsChanged(outposts);
}
