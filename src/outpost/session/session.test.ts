import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compactDecrypt, CompactEncrypt } from 'jose';
import { readClaims } from '../../contract/claims.ts';
import { Attempts } from './attempt.ts';
import { cookieName, cookieNames, deleteCookie, findCookie, setCookie } from './cookies.ts';
import { deriveSealKey, open, seal } from './sealed.ts';
import { SessionCookie } from './session-cookie.ts';
import { isRestorable, readSession, writeSession } from './session.ts';
import type { Session } from './session.ts';

const scope = { domain: undefined, secure: true };
const SECRETS = { clientId: 'client', secret: 'SECRET', previousSecret: '', name: 'authentik_proxy_12345678', scope };
const cookieOf = (over: Partial<ConstructorParameters<typeof SessionCookie>[0]> = {}) =>
  new SessionCookie({ provider: 1, ...SECRETS, ...over });

function sessionOf(claims: Record<string, unknown> = {}, over: Partial<Session> = {}): Session {
  const payload = { sub: 'uid', exp: 2_000_000_000, sid: 'sid', ...claims };
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const token = `${part({ alg: 'RS256', kid: 'k' })}.${part(payload)}.${randomBytes(256).toString('base64url')}`;
  return {
    provider: 1,
    token,
    claims: readClaims(payload),
    extra: [],
    ruleGroups: undefined,
    applications: undefined,
    credentials: undefined,
    usedAuthorization: undefined,
    cursor: { epoch: 'e', n: 7 },
    issuedAt: 1_900_000_000_000,
    expiresAt: 2_000_000_000_000,
    ...over,
  };
}

describe('sealed values', () => {
  const key = deriveSealKey('secret', 'client', 'session');

  it('are what jose opens', async () => {
    const sealed = await seal(key, 'text ✓');
    const { plaintext, protectedHeader } = await compactDecrypt(sealed, key.key);
    assert.equal(Buffer.from(plaintext).toString(), 'text ✓');
    assert.deepEqual(protectedHeader, { alg: 'dir', enc: 'A256GCM', kid: key.kid });
    assert.equal(open(key, sealed), 'text ✓');
  });

  it('are deflated where that is worth it, and open either way', async () => {
    const long = 'text ✓'.repeat(400);
    const sealed = await seal(key, long);
    const { plaintext, protectedHeader } = await compactDecrypt(sealed, key.key);
    assert.equal(Buffer.from(plaintext).toString(), long);
    assert.deepEqual(protectedHeader, { alg: 'dir', enc: 'A256GCM', zip: 'DEF', kid: key.kid });
    assert.equal(open(key, sealed), long);
    const short = await new CompactEncrypt(Buffer.from('text ✓')).setProtectedHeader(protectedHeader).encrypt(key.key);
    assert.equal(open(key, short), 'text ✓', 'as sessions were sealed before');
  });

  it('do not open as what they are not', async () => {
    const deflated = (await seal(deriveSealKey('secret', 'client', 'state'), 'text')).split('.')[0] ?? '';
    const sealed = await seal(key, 'text');
    assert.equal(open(key, sealed.replace(/^[^.]*/, deflated)), undefined);
  });

  it('open only with the key, client and purpose they were made for', async () => {
    const sealed = await seal(key, 'x');
    for (const other of [
      deriveSealKey('other', 'client', 'session'),
      deriveSealKey('secret', 'another', 'session'),
      deriveSealKey('secret', 'client', 'state'),
      deriveSealKey('secret', 'client', 'attempt'),
    ])
      assert.equal(open(other, sealed), undefined);
  });

  it('do not open when anything is changed, cut or added', async () => {
    const sealed = await seal(key, 'the quick brown fox jumps over the lazy dog');
    const parts = sealed.split('.');
    const bad = [
      '',
      '.',
      '....',
      'x'.repeat(1024 * 1024),
      `${sealed}A`,
      `${sealed}=`,
      ` ${sealed}`,
      sealed.toUpperCase(),
    ];
    for (let i = 0; i < sealed.length; i++) bad.push(sealed.slice(0, i));
    for (let i = 0; i < 5; i++) bad.push(parts.toSpliced(i, 1).join('.'), parts.with(i, 'AAAA').join('.'));
    for (const value of bad) assert.equal(open(key, value), undefined, value.slice(0, 40));
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.constantFrom(...'ABab01-_.!%'), (at, char) => {
        if (sealed[at] === char) return;
        assert.equal(open(key, sealed.slice(0, at) + char + sealed.slice(at + 1)), undefined);
      }),
    );
  });

  it('have one spelling: unused bits of a last character are zero', async () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const remainders = new Set<number>();
    for (let n = 1; n <= 40; n++) {
      const plain = randomBytes(n).toString('hex');
      const sealed = await seal(key, plain);
      assert.equal(open(key, sealed), plain);
      const tagStart = sealed.lastIndexOf('.');
      remainders.add((tagStart - sealed.lastIndexOf('.', tagStart - 1) - 1) % 4);
      for (const at of [tagStart - 1, sealed.length - 1]) {
        const others = [...alphabet].filter((char) => char !== sealed[at]);
        for (const char of others) {
          assert.equal(open(key, sealed.slice(0, at) + char + sealed.slice(at + 1)), undefined, `${at} ${char}`);
        }
      }
    }
    assert.deepEqual(remainders, new Set([0, 2, 3]), 'every length of a last group was there');
  });

  it('bound what they unpack', async () => {
    const bomb = await new CompactEncrypt(new Uint8Array(8 * 1024 * 1024))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', zip: 'DEF', kid: key.kid })
      .encrypt(key.key);
    assert.ok(bomb.length < 20_000);
    assert.equal(open(key, bomb), undefined);
    assert.ok(deflateRawSync(Buffer.from('x')).length > 0);
  });
});

describe('session cookie', () => {
  it('gives the session back, the token byte for byte', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme' }),
        fc.array(fc.string(), { maxLength: 8 }),
        async (name, groups) => {
          const session = sessionOf(
            { name, groups, ak_proxy: { is_superuser: true } },
            { extra: [['X-A', name]], ruleGroups: groups },
          );
          const sealed = await cookieOf().seal(session);
          assert.ok(sealed && isRestorable(session.token));
          assert.deepEqual(cookieOf().open(sealed.value), session);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is nothing to another provider, even one with the same secret', async () => {
    const value = (await cookieOf().seal(sessionOf()))?.value ?? '';
    assert.ok(cookieOf().open(value));
    assert.equal(cookieOf({ clientId: 'other' }).open(value), undefined);
    assert.equal(cookieOf({ provider: 2 }).open(value), undefined);
    assert.equal(cookieOf({ secret: 'NEW' }).open(value), undefined);
    assert.ok(cookieOf({ secret: 'NEW', previousSecret: 'SECRET' }).open(value));
  });

  it('splits over two cookies, joins them, and refuses more', async () => {
    const groups = (n: number) => Array.from({ length: n }, () => randomBytes(12).toString('hex'));
    const one = await cookieOf().seal(sessionOf({ groups: groups(20) }));
    assert.equal(one?.setCookies.length, 1);
    const session = sessionOf({ groups: groups(200) });
    const two = await cookieOf().seal(session);
    assert.equal(two?.setCookies.length, 2);
    const header = two?.setCookies.map((c) => c.split(';')[0]).join('; ');
    for (const text of two?.setCookies ?? []) assert.ok((text.split(';')[0] ?? '').length <= 4096);
    const [joined = ''] = cookieOf().candidates(header);
    assert.deepEqual(cookieOf().open(joined), session);
    assert.equal(await cookieOf().seal(sessionOf({ groups: groups(900) })), undefined);
  });

  it('tries the values a sibling host may have planted, within bounds', async () => {
    const { value = '' } = (await cookieOf().seal(sessionOf())) ?? {};
    const name = SECRETS.name;
    assert.deepEqual(cookieOf().candidates(`${name}=evil; x=1; ${name}=${value}`), ['evil', value]);
    assert.equal(cookieOf().candidates(Array.from({ length: 50 }, () => `${name}=x`).join('; ')).length, 3);
    assert.deepEqual(cookieOf().candidates(`x${name}=1; ${name}_1=2; ${name}=; ${name}`), []);
    assert.deepEqual(cookieOf().candidates(undefined), []);
  });

  it('reads no form but its own', () => {
    for (const text of [
      '',
      'null',
      '{}',
      '[]',
      '{"p":1}',
      '{"p":1,"j":["{}","{}",""],"t":1}',
      '{"p":"1","j":["{}","{\\"sub\\":\\"a\\",\\"exp\\":1}",""],"t":1}',
    ])
      assert.equal(readSession(text), undefined, text);
    assert.ok(readSession(writeSession(sessionOf())));
    const credentials = ['handle', 'another'];
    assert.deepEqual(readSession(writeSession({ ...sessionOf(), credentials }))?.credentials, credentials);
  });

  it('does not keep a token it could not give back', () => {
    for (const token of ['', 'a.b', 'a.b.c.d', 'e30=.e30.x', 'e31.e30.x', '/w.e30.x'])
      assert.equal(isRestorable(token), false, token);
  });
});

describe('cookie text', () => {
  it('has the published name and attributes', () => {
    assert.equal(cookieName('client'), 'authentik_proxy_948fe603');
    assert.match(
      setCookie('n', 'v', 60, { domain: 'example.test', secure: true }),
      /^n=v; Path=\/; Domain=example\.test; Expires=[^;]+ GMT; Max-Age=60; HttpOnly; Secure; SameSite=Lax$/,
    );
    assert.match(
      setCookie('n', 'v', 1, { domain: undefined, secure: false }),
      /^n=v; Path=\/; Expires=[^;]+; Max-Age=1; HttpOnly; SameSite=Lax$/,
    );
    assert.match(
      deleteCookie('n', scope),
      /^n=; Path=\/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax$/,
    );
  });

  it('finds exactly the cookie named', () => {
    const name = fc.stringMatching(/^[a-z_]{1,6}$/);
    const value = fc.stringMatching(/^[a-z0-9.=-]{0,8}$/);
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(name, value), { selector: ([n]) => n }), name, (pairs, wanted) => {
        const header = pairs.map(([n, v]) => `${n}=${v}`).join('; ');
        assert.equal(findCookie(header, wanted)?.value, pairs.find(([n]) => n === wanted)?.[1]);
        assert.deepEqual(cookieNames(header, wanted).sort(), pairs.map(([n]) => n).filter((n) => n.startsWith(wanted)).sort()); // prettier-ignore
      }),
    );
  });
});

describe('attempts', () => {
  const attempts = new Attempts({
    clientId: 'c',
    secret: 's',
    previousSecret: '',
    cookieName: 'authentik_proxy_0',
    scope,
  });
  const begin = async (target: string, cookies?: string, now = Date.now()) => {
    const begun = await attempts.begin({ target, round: 0, purpose: 'login', now }, cookies);
    assert.ok(begun);
    return begun;
  };
  const pairOf = (setCookies: string[]) => setCookies[0]?.split(';')[0] ?? '';

  it('are small, and come back with state and cookie only', async () => {
    const one = await begin('http://app.test/x?y');
    const state = attempts.readState(one.state);
    assert.equal(state?.target, 'http://app.test/x?y');
    assert.ok(pairOf(one.setCookies).length <= 600);
    const secrets = attempts.secrets(state?.id ?? '', pairOf(one.setCookies));
    assert.equal(secrets?.nonce, one.nonce);
    assert.match(secrets?.verifier ?? '', /^[\w-]{43}$/);
    assert.equal(attempts.secrets(state?.id ?? '', undefined), undefined);
    const another = pairOf((await begin('/')).setCookies);
    assert.equal(attempts.secrets(state?.id ?? '', another), undefined);
    const swapped = `${pairOf(one.setCookies).split('=')[0]}=${another.slice(another.indexOf('=') + 1)}`;
    assert.equal(attempts.secrets(state?.id ?? '', swapped), undefined, 'the value of another attempt');
    assert.equal(attempts.readState('garbage'), undefined);
  });

  it('are at most eight: the oldest goes', async () => {
    let cookies: string[] = [];
    for (let i = 0; i < 12; i++) {
      const { setCookies } = await begin('/', cookies.join('; '), 1_700_000_000_000 + i * 1000);
      const gone = setCookies.slice(1).map((c) => c.split('=')[0]);
      cookies = [...cookies.filter((c) => !gone.includes(c.split('=')[0])), pairOf(setCookies)];
    }
    assert.equal(cookies.length, 8);
    assert.equal(attempts.names(cookies.join('; ')).length, 8);
    assert.ok(cookies[0]?.includes(`_a${(1_700_000_004).toString(36)}`));
  });

  it('take along 6 kB of what people have in addresses, and say so when it is too much', async () => {
    const panels = Array.from({ length: 60 }, (_, id) => ({ id, expr: `sum(rate(http_${id * 7919}_total[5m]))` }));
    for (const query of [encodeURIComponent(JSON.stringify(panels)), randomBytes(1900).toString('base64url')]) {
      const { state } = await begin(`http://app.test/?q=${query}`);
      assert.ok(state.length <= 3000, `${query.length} -> ${state.length}`);
      assert.equal(attempts.readState(state)?.target, `http://app.test/?q=${query}`);
    }
    const asked = { round: 0, purpose: 'login', now: Date.now() } as const;
    const tooMuch = `http://app.test/?q=${randomBytes(2500).toString('base64url')}`;
    assert.equal(await attempts.begin({ ...asked, target: tooMuch }, undefined), undefined);
    assert.equal(
      await attempts.begin({ ...asked, target: `http://app.test/${'a'.repeat(9000)}` }, undefined),
      undefined,
    );
    assert.ok(await attempts.begin({ ...asked, round: 1, target: tooMuch }, undefined), 'it came this way already');
  });
});
