import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { foldHeaderName, isManagedHeader } from '../../contract/headers.ts';
import { isOwnCookie } from './hop-by-hop.ts';
import { requestHeaders, withoutOwnCookies } from './request-headers.ts';
import { responseHeaders } from './response-headers.ts';
import { apart } from './joined-headers.test-helper.ts';
import { prepareHeaders } from './target.ts';
import type { Upstream } from './target.ts';

const RUNS = { numRuns: 5000 };

/** Spells a name as somebody would who hopes that we and the application read it differently. */
const spelt = (name: string) =>
  fc.array(fc.constantFrom('-', '_', '.', '+', '~'), { minLength: 8, maxLength: 8 }).chain((marks) =>
    fc.boolean().map((upper) => {
      let i = 0;
      const bent = name.replace(/-/g, () => marks[i++ % marks.length] as string);
      return upper ? bent.toUpperCase() : bent;
    }),
  );

const name = fc.oneof(
  ...[
    'x-authentik-username',
    'x-authentik-meta-app',
    'x-auth-username',
    'x-forwarded-email',
    'x-team',
    'x-gatehouse-link',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-original-url',
    'x-real-ip',
    'connection',
    'cookie',
    'te',
    'host',
    'accept',
  ].map(spelt),
);
const value = fc.constantFrom(
  'admin',
  'close, X-Authentik-Username, X_Team, Host, X-Forwarded-For',
  'authentik_proxy_01=a; b=2',
  'trailers',
  '10.0.0.1, 192.0.2.9',
  '',
);
const raw = fc.array(fc.tuple(name, value), { maxLength: 12 }).map((pairs) => pairs.flat());

const identity = prepareHeaders(['X-Authentik-Username', 'alice', 'X-Team', 'blue']);
const ingredients = (trusted: boolean) => ({
  host: 'app.internal',
  originalHost: 'app.example.test',
  scheme: 'https' as const,
  peer: '192.0.2.7',
  trusted,
  identity,
  managed: new Set(['x-team']),
});

const pairsOf = (flat: readonly string[]) =>
  flat.flatMap((text, i) => (i % 2 === 0 ? [[text, flat[i + 1] ?? ''] as const] : []));

describe('hostile headers', () => {
  it('reach no application as identity, routing or a second Host, whoever sends them', () => {
    fc.assert(
      fc.property(raw, fc.boolean(), (sent, trusted) => {
        const got = pairsOf([...requestHeaders(sent, ingredients(trusted)), ...apart(identity.joined!)]);
        const managed = got.filter(([n]) => isManagedHeader(foldHeaderName(n), new Set(['x-team'])));
        assert.deepEqual(managed, [
          ['X-Authentik-Username', 'alice'],
          ['X-Team', 'blue'],
        ]);
        const folded = (wanted: string) => got.filter(([n]) => foldHeaderName(n) === wanted);
        assert.deepEqual(folded('host'), [['Host', 'app.internal']]);
        assert.deepEqual(folded('x-forwarded-host'), [['X-Forwarded-Host', 'app.example.test']]);
        assert.equal(folded('x-forwarded-for').length, 1);
        assert.match(folded('x-forwarded-for')[0]?.[1] ?? '', /(?:^|, )192\.0\.2\.7$/);
        assert.deepEqual(folded('x-original-url'), []);
        if (!trusted) assert.deepEqual(folded('x-real-ip'), []);
        assert.deepEqual(folded('connection'), []);
        for (const [n, v] of got) {
          if (n.toLowerCase() === 'cookie') assert.doesNotMatch(v, /authentik_/);
        }
      }),
      RUNS,
    );
  });

  it('come back from no application as ours', () => {
    const own = { upstream: { authority: 'app.internal', basePath: '' } as Upstream, host: 'app.internal' };
    fc.assert(
      fc.property(raw, (sent) => {
        const got = pairsOf(responseHeaders(sent, own));
        assert.ok(got.every(([n]) => !/^x-(?:authentik|gatehouse)-/.test(foldHeaderName(n))));
      }),
      RUNS,
    );
  });
});

describe('hostile cookies', () => {
  const cookieName = fc.constantFrom(
    'a',
    'authentik_proxy_0123abcd',
    'AUTHENTIK_proxy_x_1',
    'authentik_session',
    'authentik_csrf',
    ' authentik_session ',
    'x_authentik_session',
    '',
  );
  const separator = fc.constantFrom(';', '; ', ';;', ' ; ', ';\t');
  const text = fc.constantFrom('1', '"a;b"', 'x=y', '', ' ', '=');
  const header = fc
    .array(fc.tuple(cookieName, fc.constantFrom('=', ' = ', ''), text, separator), { maxLength: 8 })
    .map((parts) => parts.flat().join(''));

  it('of ours never pass, the others do, byte for byte', () => {
    fc.assert(
      fc.property(header, (sent) => {
        const kept = withoutOwnCookies(sent);
        const names = kept.split(';').map((pair) => pair.split('=', 1)[0] ?? '');
        assert.ok(!names.some(isOwnCookie), kept);
        const foreign = sent.split(';').filter((pair) => !isOwnCookie(pair.split('=', 1)[0] ?? ''));
        assert.equal(kept, sent.toLowerCase().includes('authentik_') ? foreign.join(';').trim() : sent);
      }),
      RUNS,
    );
  });
});
