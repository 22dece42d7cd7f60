/** Attributes of people and groups, and how they merge (spec/server.md 2.3). */
import { foldHeaderName, parseAdditionalHeaders } from '../../contract/headers.ts';
import type { Db } from '../storage/database.ts';
import type { UserRow } from '../storage/rows.ts';
import { allGroups } from './membership.ts';

export type Attributes = Record<string, unknown>;

const HEADERS = 'additionalHeaders';

/**
 * Published merge: objects merge recursively, lists are joined, anything else is replaced by the later value.
 * Neither argument is changed.
 */
export function deepMerge(base: Attributes, over: Readonly<Attributes>): Attributes {
  const merged = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(over)) {
    const before = merged.get(key);
    if (isObject(before) && isObject(value)) merged.set(key, deepMerge(before, value));
    else if (Array.isArray(before) && Array.isArray(value)) merged.set(key, [...before, ...value]);
    else merged.set(key, value);
  }
  return Object.fromEntries(merged); // own properties only: a key `__proto__` stays data
}

/** What a person has in effect: all groups, ancestors included, by name ascending, then their own. */
export async function mergedAttributes(db: Db, user: UserRow): Promise<Attributes> {
  const groups = await allGroups(db, user.id);
  return [...groups, user].reduce<Attributes>(
    (merged, { attributes }) => mergeAttributes(merged, parse(attributes)),
    {},
  );
}

/** As {@link deepMerge}, for attributes as a whole: they may hold headers. */
export function mergeAttributes(base: Attributes, over: Readonly<Attributes>): Attributes {
  return deepMerge(withoutRespelt(base, over), over);
}

/** Names of headers mean the same in every spelling: the later source's takes the place of an earlier one's. */
function withoutRespelt(merged: Attributes, over: Readonly<Attributes>): Attributes {
  const [before, after] = [merged[HEADERS], over[HEADERS]];
  if (!isObject(before) || !isObject(after)) return merged;
  const respelt = new Set(Object.keys(after).map(foldHeaderName));
  const kept = Object.entries(before).filter(
    ([name]) => Object.hasOwn(after, name) || !respelt.has(foldHeaderName(name)),
  );
  return { ...merged, [HEADERS]: Object.fromEntries(kept) };
}

/**
 * Checks attributes before they are saved.
 * @returns one sentence per problem, empty when they can be saved
 */
export function checkAttributes(attributes: Readonly<Attributes>): string[] {
  return parseAdditionalHeaders(attributes[HEADERS]).problems;
}

/**
 * Folded names of the headers these attributes add. `Authorization` is left out: it stays the client's own where we do
 * not set it.
 */
export function headerNames(attributes: Readonly<Attributes>): string[] {
  return parseAdditionalHeaders(attributes[HEADERS])
    .headers.map(([name]) => foldHeaderName(name))
    .filter((name) => name !== 'authorization');
}

function parse(text: string): Attributes {
  const value: unknown = JSON.parse(text);
  return isObject(value) ? value : {};
}

export const isObject = (v: unknown): v is Attributes => typeof v === 'object' && v !== null && !Array.isArray(v);
