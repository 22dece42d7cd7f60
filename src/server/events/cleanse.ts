/** Makes the context of an event safe to keep: no secrets, bounded size (spec/server.md 12). */

const SECRET_NAME = /secret|passw|token|credential|cookie|authorization|signature|api_?key|(^|_)key$/i;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const MASK = '********************';
const MAX_TEXT = 4000;
const MAX_ITEMS = 200;
const MAX_DEPTH = 8;

/**
 * @returns a copy where values under names that look secret are masked, UUIDs have no dashes (as published), and
 *   long texts, long lists and deep nesting are cut
 */
export function cleanse(context: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return members(context, 0);
}

function members(object: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(object).slice(0, MAX_ITEMS);
  return Object.fromEntries(entries.map(([k, v]) => [k, SECRET_NAME.test(k) ? MASK : value(v, depth + 1)]));
}

function value(v: unknown, depth: number): unknown {
  if (typeof v === 'string') {
    if (UUID.test(v)) return v.replaceAll('-', '');
    return v.length > MAX_TEXT ? `${v.slice(0, MAX_TEXT)}…` : v;
  }
  if (typeof v === 'number') return Number.isFinite(v) ? v : null;
  if (typeof v === 'boolean' || v === null) return v;
  if (typeof v !== 'object') return v === undefined ? null : String(v);
  if (depth > MAX_DEPTH) return '…';
  if (v instanceof Date) return v.toISOString();
  return Array.isArray(v) ? v.slice(0, MAX_ITEMS).map((item) => value(item, depth + 1)) : members(v, depth);
}
