/** Small checks that strict decoders for tests are put together from. */
import { AssertionError } from 'node:assert';

export type Check = (value: unknown, at: string) => void;

export const fail = (at: string, expected: string, value: unknown): never => {
  throw new AssertionError({ message: `${at}: expected ${expected}, got ${JSON.stringify(value)?.slice(0, 120)}` });
};

export const is =
  (expected: string, holds: (value: unknown) => boolean): Check =>
  (value, at) => {
    if (!holds(value)) fail(at, expected, value);
  };

export const text = is('text', (v) => typeof v === 'string');
export const int = is('a 32-bit integer', (v) => Number.isInteger(v) && Math.abs(Number(v)) < 2 ** 31);
export const bool = is('true or false', (v) => typeof v === 'boolean');
export const uuid = is('a uuid', (v) => typeof v === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(v));
export const time = is(
  'a UTC time with Z',
  (v) => typeof v === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(v),
);
export const json = is('an object', (v) => typeof v === 'object' && v !== null && !Array.isArray(v));
export const nothing = is('null', (v) => v === null);
export const one = (...choices: string[]) => is(choices.join('|'), (v) => typeof v === 'string' && choices.includes(v));

export const nullable =
  (check: Check): Check =>
  (value, at) => {
    if (value !== null) check(value, at);
  };

export const list =
  (check: Check): Check =>
  (value, at) => {
    if (!Array.isArray(value)) return fail(at, 'a list', value);
    value.forEach((item, i) => check(item, `${at}[${i}]`));
  };

export const object =
  (shape: Readonly<Record<string, Check>>): Check =>
  (value, at) => {
    json(value, at);
    const members = value as Record<string, unknown>;
    for (const key of Object.keys(members))
      if (!Object.hasOwn(shape, key)) fail(`${at}.${key}`, 'no such key', members[key]);
    for (const [key, check] of Object.entries(shape)) {
      if (!Object.hasOwn(members, key)) fail(`${at}.${key}`, 'the key', undefined);
      check(members[key], `${at}.${key}`);
    }
  };

/** As {@link object}, with keys that may be left out. */
export const having =
  (required: Readonly<Record<string, Check>>, optional: Readonly<Record<string, Check>>): Check =>
  (value, at) => {
    json(value, at);
    const there = Object.entries(optional).filter(([key]) => Object.hasOwn(value as object, key));
    object({ ...required, ...Object.fromEntries(there) })(value, at);
  };
