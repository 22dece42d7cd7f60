/**
 * Names of the headers that scope mappings add for single people. Clients may never send them, not even people for whom
 * the mapping gives none: so outposts must know the names. What an expression computes cannot be known before it ran;
 * names written in it are taken from its text, others are remembered from what it gave.
 */
import { foldHeaderName, headerNameProblem } from '../../contract/headers.ts';
import type { Change, ServerContext } from '../context.ts';
import { headerNames } from '../directory/attributes.ts';
import type { Attributes } from '../directory/attributes.ts';
import type { Db } from '../storage/database.ts';

/** Text that names a member: a key of a dict, or what is assigned to. */
const MEMBER = /(["'])([!#$%&*+.^_`|~0-9A-Za-z-]{1,200})\1\s*(?::|\]\s*=)/g;
/** Where the dict of headers begins, when it is written out. */
const HEADERS = /(["'])additionalHeaders\1\s*(?::|\]\s*=)\s*\{/g;

/**
 * Folded names of headers this expression may add, as far as its text says: what stands in the dict, and elsewhere what
 * can hardly be anything but a header. Every name costs applications an empty header for people who have none.
 */
export function writtenNames(expression: string): string[] {
  if (!expression.includes('additionalHeaders')) return [];
  const dicts = Array.from(expression.matchAll(HEADERS), ({ index, 0: begin }) =>
    dictAt(expression, index + begin.length),
  );
  const names = [...dicts.flatMap(members), ...members(expression).filter((name) => name.includes('-'))].filter(
    (name) => headerNameProblem(name) === undefined,
  );
  return [...new Set(names.map(foldHeaderName))].filter((name) => name !== 'authorization');
}

const members = (text: string) => Array.from(text.matchAll(MEMBER), (match) => match[2] ?? '');

/** @param start behind the opening brace. @returns up to its closing one */
function dictAt(text: string, start: number): string {
  let depth = 1;
  for (let i = start; i < text.length; i++) {
    if (text[i] === '{') depth++;
    if (text[i] === '}' && --depth === 0) return text.slice(start, i);
  }
  return text.slice(start);
}

/** Every name some mapping adds. */
export async function mappingHeaderNames(db: Db): Promise<string[]> {
  const rows = await db.selectFrom('scope_mapping_header').select('name').distinct().execute();
  return rows.map((row) => row.name);
}

/** To be called when a mapping is saved. Names once known stay: who sees a header must not become able to send it. */
export async function keepWrittenNames(tx: Change, mapping: string, expression: string): Promise<void> {
  await keep(tx, mapping, writtenNames(expression));
}

/**
 * Remembers what a mapping gave, and tells outposts of new names. Opens a change of its own, when there is something new.
 * @param attributes what it gave as `ak_proxy.user_attributes`
 */
export async function keepGivenNames(ctx: ServerContext, mapping: string, attributes: Attributes): Promise<void> {
  const given = headerNames(attributes);
  if (given.length === 0) return;
  const rows = await ctx.db
    .selectFrom('scope_mapping_header')
    .select('name')
    .where('mapping_uuid', '=', mapping)
    .execute();
  const known = new Set(rows.map((row) => row.name));
  if (given.every((name) => known.has(name))) return;
  await ctx.change(async (tx) => {
    const there = await tx.db.selectFrom('scope_mapping').select('uuid').where('uuid', '=', mapping).executeTakeFirst();
    if (there !== undefined) await keep(tx, mapping, given);
  });
}

async function keep(tx: Change, mapping_uuid: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const known = new Set(await mappingHeaderNames(tx.db));
  for (const name of names) {
    await tx.db
      .insertInto('scope_mapping_header')
      .values({ mapping_uuid, name })
      .onConflict((c) => c.doNothing())
      .execute();
  }
  if (names.some((name) => !known.has(name))) tx.outpostsChanged('all');
}
