/** Session cookies as attackers make them, from real ones of eve. */
import assert from 'node:assert/strict';
import type { Env } from './env.ts';

export interface BrokenCookie {
  what: string;
  /** value of the Cookie header */
  cookie: string;
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/**
 * Cookies that must be worth nothing at `one`, `fwd`, `closed` and `closedfwd`. Each is sent under the cookie names of
 * all these sites at once.
 */
export function brokenCookies(env: Env): BrokenCookie[] {
  const names = (['one', 'fwd'] as const).map((site) => nameAt(env, site));
  const staffNames = (['closed', 'closedfwd'] as const).map(
    (site) => env.staff.sessionCookies(env.host(site))[0]?.name ?? 'authentik_proxy_00000000',
  );
  const real = valueAt(env, 'two');
  const own = valueAt(env, 'one');
  const [header = '', , iv = '', body = '', tag = ''] = own.split('.');
  const flip = (text: string, at: number) => text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
  const values: [what: string, value: string][] = [
    ['an empty cookie', ''],
    ['garbage', 'garbage'],
    ['dots', '.....'],
    ['four empty parts', '....'],
    ['a truncated cookie', own.slice(0, -5)],
    ['half a cookie', own.slice(0, own.length >> 1)],
    ['a cookie with more behind it', `${own}A`],
    ['a sixth part', `${own}.AAAA`],
    ['a changed first byte of the body', [header, '', iv, flip(body, 0), tag].join('.')],
    ['a changed last byte of the body', [header, '', iv, flip(body, body.length - 2), tag].join('.')],
    ['a changed tag', [header, '', iv, body, flip(tag, 3)].join('.')],
    ['a short tag', [header, '', iv, body, tag.slice(0, 6)].join('.')],
    ['no tag', [header, '', iv, body, ''].join('.')],
    ['a changed iv', [header, '', flip(iv, 2), body, tag].join('.')],
    ['a long iv', [header, '', iv.repeat(3), body, tag].join('.')],
    ['a wrapped key', [header, 'AAAA', iv, body, tag].join('.')],
    ['another algorithm', [encode({ alg: 'RSA-OAEP', enc: 'A256GCM' }), '', iv, body, tag].join('.')],
    [
      'a costly key derivation',
      [
        encode({ alg: 'PBES2-HS256+A128KW', enc: 'A256GCM', p2c: 2_000_000_000, p2s: 'AAAA' }),
        'AAAA',
        iv,
        body,
        tag,
      ].join('.'),
    ],
    ['alg none', [encode({ alg: 'none' }), '', iv, body, tag].join('.')],
    [
      'an unsigned token',
      `${encode({ alg: 'none', typ: 'JWT' })}.${encode({ sub: 'x', preferred_username: 'akadmin', exp: 4e9 })}.`,
    ],
    ['an unknown key id', [encode({ alg: 'dir', enc: 'A256GCM', kid: '00000000' }), '', iv, body, tag].join('.')],
    ['a key id that is no text', [encode({ alg: 'dir', enc: 'A256GCM', kid: { a: 1 } }), '', iv, body, tag].join('.')],
    ['a header that is no object', [encode(null), '', iv, body, tag].join('.')],
    ['__proto__', [encode(JSON.parse('{"__proto__":{"alg":"dir"}}')), '', iv, body, tag].join('.')],
    ['plain JSON', encodeURIComponent(JSON.stringify({ preferred_username: 'akadmin' }))],
    ['percent signs', '%%%%'],
    ['bytes above ASCII', '\u00ff\u00fe\u0080'],
    ['a quoted value', '"' + own.slice(0, -1) + '"'],
    ['the session of another provider', real],
    ['spaces', '   '],
    ['60 kB', 'A'.repeat(20_000)],
  ];
  const found = values.map(([what, value]) => ({
    what,
    cookie: [...names, ...staffNames]
      .map((n) => `${n}=${value}`)
      .join('; ')
      .slice(0, 50_000),
  }));
  for (const [what, suffix] of [
    ['only a second piece', '_1'],
    ['only a tenth piece', '_9'],
    ['a piece called __proto__', '___proto__'],
  ] as const) {
    found.push({ what, cookie: names.map((n) => `${n}${suffix}=${own}`).join('; ') });
  }
  return found;
}

/** The name of eve's session cookie at a site. */
export function nameAt(env: Env, site: 'one' | 'two' | 'fwd'): string {
  const cookie = env.eve.sessionCookies(env.host(site))[0];
  assert.ok(cookie, `eve has no session at ${site}`);
  return cookie.name;
}

/** The value of eve's session cookie at a site. */
export function valueAt(env: Env, site: 'one' | 'two' | 'fwd'): string {
  const cookie = env.eve.sessionCookies(env.host(site))[0];
  assert.ok(cookie, `eve has no session at ${site}`);
  return cookie.value;
}
