/**
 * What may be told about a request that a reverse proxy is set up wrongly for (spec/outpost.md 16.6). Official outposts
 * send all of its headers, with cookies and credentials: only what helps to find the mistake is kept, by the outpost
 * before it tells, and by the server of whatever outposts tell.
 */

/** Headers whose values say how the reverse proxy is set up, and nothing about the person. */
const TELLING_HEADERS: ReadonlySet<string> = new Set([
  'host',
  'user-agent',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-method',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-forwarded-uri',
  'x-original-uri',
  'x-original-url',
]);

/** Stands for what is left out. */
const LEFT_OUT = '…';

/** Queries hold codes and tokens: `/a?b=c` becomes `/a?…`. */
export function withoutQuery(value: unknown): unknown {
  return typeof value === 'string' ? value.replace(/[?#].*$/s, `?${LEFT_OUT}`) : value;
}

/** @returns the value of a header as it may be told */
export function tellingValue(name: string, value: unknown): unknown {
  if (!TELLING_HEADERS.has(name.toLowerCase())) return LEFT_OUT;
  return withoutQuery(Array.isArray(value) ? value.join(', ') : value);
}
