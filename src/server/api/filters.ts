/** Pieces of WHERE clauses that lists share. */
import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import { invalid } from './errors.ts';
import { containing } from './list.ts';

type Condition = RawBuilder<boolean>;

/** Case-insensitive (ASCII) search: every word in at least one of the columns. */
export function search(columns: readonly string[], text: string): Condition {
  const words = text.split(/[\s,]+/u).filter(Boolean);
  const conditions = words.map((word) => {
    const pattern = containing(word.toLowerCase());
    const inColumn = columns.map((column) => sql`lower(${sql.ref(column)}) like ${pattern} escape '\\'`);
    return sql`(${sql.join(inColumn, sql` or `)})`;
  });
  return conditions.length === 0 ? sql<boolean>`1 = 1` : sql<boolean>`(${sql.join(conditions, sql` and `)})`;
}

/** Case-insensitive (ASCII) equality, the published `__iexact`. */
export const sameText = (column: string, text: string): Condition =>
  sql<boolean>`lower(${sql.ref(column)}) = ${text.toLowerCase()}`;

/**
 * Rows whose JSON column has these members. Scalars compare by value, lists and objects as a whole.
 * @param text JSON object, as the query parameter `attributes` carries it
 */
export function hasAttributes(column: string, text: string): Condition {
  let wanted: unknown;
  try {
    wanted = JSON.parse(text);
  } catch {
    throw invalid('attributes', 'Value must be valid JSON.');
  }
  if (typeof wanted !== 'object' || wanted === null || Array.isArray(wanted)) {
    throw invalid('attributes', 'Value must be a JSON object of names and values.');
  }
  const conditions = Object.entries(wanted).map(([name, value]) => {
    if (name.includes('"')) throw invalid('attributes', 'Names with a quotation mark cannot be searched for.');
    const stored = sql`json_extract(${sql.ref(column)}, ${`$."${name}"`})`;
    if (value === null) return sql`json_type(${sql.ref(column)}, ${`$."${name}"`}) = 'null'`;
    if (typeof value === 'boolean') {
      return sql`json_type(${sql.ref(column)}, ${`$."${name}"`}) = ${value ? 'true' : 'false'}`;
    }
    return sql`${stored} = ${typeof value === 'object' ? JSON.stringify(value) : value}`;
  });
  return conditions.length === 0 ? sql<boolean>`1 = 1` : sql<boolean>`(${sql.join(conditions, sql` and `)})`;
}
