import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decide } from './decide.ts';
import type { DecisionInput } from './decide.ts';
import { outpostInstance, providerConfig } from './data-plane.test-helper.ts';
import { readClaims } from '../contract/claims.ts';
import { DEFAULT_PROVIDER_SETTINGS } from '../contract/provider-settings.ts';
import type { AccessRule, ProviderSettings, RuleEffect } from '../contract/provider-settings.ts';
import { AccessRules } from '../rules/access-rules.ts';
import { readPath } from '../rules/canonical-path.ts';
import type { CredentialProblem, Identity } from './identify/identify.ts';
import { isRepeatableNavigation, requestKind } from './navigation.ts';
import type { RequestKind } from './navigation.ts';
import { REASONS, verdictOf } from './reasons.ts';
import { LiveSession } from './session/live.ts';
import { clientPolicy } from './sites/client-policy.ts';
import { buildSite } from './sites/site.ts';

const { site } = buildSite(providerConfig(), {
  outpost: outpostInstance(),
  hostBrowser: undefined,
  openUpstream: () => assert.fail(),
  openBackend: () => assert.fail(),
});
assert.ok(site);
const live = new LiveSession(site, {
  provider: 1, token: 'a.b.c', claims: readClaims({ sub: 'u' }), extra: [], ruleGroups: ['writers'], cursor: { epoch: '', n: 0 }, issuedAt: 0, expiresAt: 1,
}); // prettier-ignore
const person: Identity = { kind: 'person', reason: 'session', live, setCookies: [] };
const identities: Record<string, Identity> = {
  person,
  absent: { kind: 'nobody', reason: 'no-session' },
  unreadable: { kind: 'nobody', reason: 'session-unreadable' },
  expired: { kind: 'nobody', reason: 'session-expired' },
  ended: { kind: 'nobody', reason: 'session-ended' },
  denied: { kind: 'denied', live, detail: 'not-bound' },
  unsettled: { kind: 'unsettled', live },
};
const compile = (skip_path_regex: string, settings: Partial<ProviderSettings> = {}) =>
  AccessRules.compile({ ...DEFAULT_PROVIDER_SETTINGS, ...settings, skip_path_regex, mode: 'proxy', base_path: '' })
    .rules;
const rules = compile('^/public/');
const none = compile('');
const input: DecisionInput = {
  ...{ identity: person, path: readPath('/x'), rules, applications: [], kind: 'navigation', renew: false },
  ...{ method: 'GET', origin: undefined, rawHeaders: [], clients: site.clients },
};
const say = (over: Partial<DecisionInput>) => {
  const decision = decide({ ...input, ...over });
  return `${decision.verdict} ${decision.reason}${decision.verdict === 'login' ? ` ${decision.answer}` : ''}`;
};

describe('decide', () => {
  const kinds: [RequestKind, string][] = [
    ['navigation', 'redirect'],
    ['unknown', 'redirect'],
    ['framed', 'frame'],
    ['background', 'challenge'],
  ];
  for (const [kind, answer] of kinds) {
    it(`table for a ${kind} request`, () => {
      const rows: [string, string, string][] = [
        ['person', '/x', 'allow session'],
        ['person', '/public/x', 'allow session'],
        ['person', '/a%2Fb', 'allow session'],
        ['person', '/a/../b', 'error path-malformed'],
        ['denied', '/x', 'deny access-denied'],
        ['denied', '/public/x', 'allow public-path'],
        ['denied', '/public%2fx', 'error path-ambiguous'],
        ['unsettled', '/x', 'error claims-outdated'],
        ['unsettled', '/public/x', 'allow public-path'],
        ['absent', '/public/x', 'allow public-path'],
        ['absent', '/public/../x', 'error path-malformed'],
        ['absent', '/public%2f..%2fadmin', 'error path-malformed'],
        ['absent', '/public%2fx', 'error path-ambiguous'],
        ['absent', '/x', `login no-session ${answer}`],
        ['unreadable', '/x', `login session-unreadable ${answer}`],
        ['expired', '/x', `login session-expired ${answer}`],
        ['ended', '/x', `login session-ended ${answer}`],
      ];
      for (const [who, path, expected] of rows) {
        assert.equal(
          say({ identity: identities[who] as Identity, path: readPath(path), kind }),
          expected,
          `${who} ${path}`,
        );
      }
    });
  }

  it('holds nothing public when the path is not known, or no rule is set', () => {
    assert.equal(say({ identity: identities['absent'] as Identity, path: undefined }), 'login no-session redirect');
    for (const path of ['/public/x', '/api/queues/%2F/x']) {
      assert.equal(
        say({ identity: identities['absent'] as Identity, path: readPath(path), rules: none }),
        'login no-session redirect',
      );
    }
  });

  it('asks access rules about everybody', () => {
    const rule = (pattern: string, effect: RuleEffect, over: Partial<AccessRule> = {}): AccessRule => {
      return { match: 'glob', pattern, methods: [], effect, groups: [], ...over };
    };
    const closing = compile('', {
      access_rules: [
        rule('/gone/**', 'deny'),
        rule('/desk/**', 'groups', { groups: ['writers'] }),
        rule('/press/**', 'groups', { groups: ['press'] }),
        rule('/news/**', 'public', { methods: ['GET'] }),
      ],
    });
    const rows: [string, string, string][] = [
      ['person', '/gone/x', 'deny rule-denies'],
      ['absent', '/gone/x', 'deny rule-denies'],
      ['denied', '/gone/x', 'deny rule-denies'],
      ['person', '/desk/x', 'allow session'],
      ['person', '/press/x', 'deny rule-needs-group'],
      ['absent', '/press/x', 'login no-session redirect'],
      ['denied', '/press/x', 'deny access-denied'],
      ['unsettled', '/press/x', 'error claims-outdated'],
      ['absent', '/news/x', 'allow public-path'],
      ['denied', '/news/x', 'allow public-path'],
      ['person', '/news/x', 'allow session'],
      ['person', '/x%2Fy', 'allow session'],
      ['person', '/gone%2Fy', 'deny rule-denies'],
      ['person', '/%ff', 'error path-ambiguous'],
    ];
    for (const [who, path, expected] of rows) {
      const over = { identity: identities[who] as Identity, path: readPath(path), rules: closing };
      assert.equal(say(over), expected, `${who} ${path}`);
    }
    const unknown = { rules: closing, path: readPath('/news/x'), method: undefined };
    assert.equal(say({ ...unknown, identity: identities['absent'] as Identity }), 'login no-session redirect');
    assert.equal(say({ ...unknown, path: undefined }), 'error path-not-known');
    for (const name of ['X-HTTP-Method-Override', 'x_http_method', 'X.Method_Override']) {
      const overridden = { ...unknown, method: 'GET', rawHeaders: [name, 'DELETE'] };
      assert.equal(say({ ...overridden, identity: identities['absent'] as Identity }), 'login no-session redirect');
    }
    assert.equal(say({ path: readPath('/gone/x'), rules: closing, renew: true }), 'deny rule-denies');
  });

  it('renews people only', () => {
    assert.equal(say({ renew: true }), 'login session-renewal redirect');
    assert.equal(say({ renew: true, identity: identities['denied'] as Identity }), 'deny access-denied');
  });

  describe('of several applications of a domain', () => {
    const application = (slug: string) => ({
      slug,
      name: slug,
      host: `${slug}.test`,
      path: '/',
      permitMeta: site.permitMeta,
    });
    const [wiki, forge] = [application('wiki'), application('forge')];
    const signedIn = (applications: string[] | undefined): Identity => ({
      kind: 'person',
      reason: 'session',
      live: new LiveSession(site, { ...live.session, applications }),
      setCookies: [],
    });

    it('lets in whom all of them let in, and names the first', () => {
      const asked = { identity: signedIn(['forge', 'wiki']), applications: [wiki, forge], path: readPath('/x') };
      assert.equal(say(asked), 'allow session');
      const decision = decide({ ...input, ...asked });
      assert.equal(decision.verdict === 'allow' && decision.application, wiki);
      assert.equal(say({ ...asked, renew: true }), 'login session-renewal redirect');
    });

    it('refuses who may not open one of them, and names it', () => {
      const asked = { identity: signedIn(['wiki']), applications: [wiki, forge], path: readPath('/x') };
      assert.equal(say(asked), 'deny access-denied');
      assert.equal(say({ ...asked, renew: true }), 'deny access-denied');
      const decision = decide({ ...input, ...asked });
      assert.equal(decision.verdict === 'deny' && decision.application, forge);
      assert.equal(say({ ...asked, path: readPath('/public/x') }), 'allow public-path');
      assert.equal(say({ ...asked, identity: signedIn([]) }), 'deny access-denied');
    });

    it('refuses while it is not known which ones are open', () => {
      assert.equal(say({ identity: signedIn(undefined), applications: [wiki] }), 'error claims-outdated');
    });

    it('leaves everybody else as they are', () => {
      for (const [name, identity] of Object.entries(identities)) {
        if (name === 'person') continue;
        assert.equal(say({ identity, applications: [wiki] }), say({ identity }), name);
      }
    });
  });

  it('gives nobody the headers of somebody', () => {
    const decision = decide({ ...input, identity: identities['denied'] as Identity, path: readPath('/public/x') });
    assert.equal(decision.verdict === 'allow' && decision.live, undefined);
  });

  it('uses reasons whose verdict is the decision', () => {
    for (const identity of Object.values(identities)) {
      for (const path of ['/x', '/public/x', '/a/../b', '/public%2fx']) {
        const decision = decide({ ...input, identity, path: readPath(path) });
        assert.equal(verdictOf(decision.reason), decision.verdict);
      }
    }
    assert.ok(Object.keys(REASONS).length > 20);
  });
});

describe('credentials that do not count', () => {
  const nobody = (credentials: CredentialProblem): Identity => ({ kind: 'nobody', reason: 'no-session', credentials });
  const clients = (intercepts: boolean) => clientPolicy(DEFAULT_PROVIDER_SETTINGS, '', intercepts);

  it('are told so where the provider intercepts them, and lead to the login elsewhere', () => {
    for (const kind of ['navigation', 'unknown', 'framed', 'background'] as const) {
      const of = (problem: CredentialProblem, intercepts: boolean) =>
        say({ identity: nobody(problem), kind, clients: clients(intercepts), rules: none });
      assert.equal(of('credentials-invalid', true), 'login credentials-invalid unauthorized', kind);
      assert.equal(of('credentials-limited', true), 'error credentials-limited', kind);
      assert.equal(of('credentials-unchecked', true), 'error credentials-unchecked', kind);
      for (const problem of ['credentials-invalid', 'credentials-limited', 'credentials-unchecked'] as const) {
        assert.match(of(problem, false), /^login no-session /, kind);
      }
    }
  });

  it('are nobody on a public path', () => {
    const identity = nobody('credentials-invalid');
    assert.equal(say({ identity, path: readPath('/public/x'), clients: clients(true) }), 'allow public-path');
  });
});

describe('clients that cannot log in', () => {
  const absent = identities['absent'] as Identity;
  const cors = ['Origin', 'https://a.test', 'Access-Control-Request-Method', 'PUT'];
  const policy = (over: Partial<ProviderSettings>) => clientPolicy({ ...DEFAULT_PROVIDER_SETTINGS, ...over }, '', true);
  const preflight = { identity: absent, method: 'OPTIONS', rawHeaders: cors, kind: 'background', rules: none } as const;

  it('redirects everybody where the provider says so, and only there', () => {
    for (const kind of ['navigation', 'unknown', 'framed', 'background'] as const) {
      const published = say({ identity: absent, kind, clients: policy({ login_answer: 'published' }) });
      assert.equal(published, 'login no-session redirect', kind);
    }
  });

  it('lets true preflights pass where the provider says so', () => {
    assert.equal(say(preflight), 'login no-session challenge');
    assert.equal(say({ ...preflight, kind: 'unknown' }), 'login no-session challenge', 'never a redirect');
    const pass = policy({ preflight: 'pass' });
    assert.equal(say({ ...preflight, clients: pass }), 'allow preflight');
    assert.equal(say({ ...preflight, clients: pass, identity: identities['denied'] as Identity }), 'allow preflight');
    assert.equal(say({ ...preflight, clients: pass, path: readPath('/a/../b') }), 'error path-malformed');
    assert.equal(say({ ...preflight, clients: pass, method: undefined }), 'login no-session challenge');
    assert.equal(say({ ...preflight, clients: pass, method: 'GET' }), 'login no-session challenge');
    const decision = decide({ ...input, ...preflight, clients: pass });
    assert.equal(decision.verdict === 'allow' && decision.preflight, undefined, 'the application answers');
  });

  it('answers preflights of the named origins', () => {
    const clients = policy({ preflight: 'answer', preflight_origins: ['https://a.test'] });
    const decision = decide({ ...input, ...preflight, clients });
    assert.deepEqual(decision.verdict === 'allow' && decision.preflight, {
      ...{ origin: 'https://a.test', method: 'PUT', headers: '' },
    });
    const other = ['Origin', 'https://b.test', ...cors.slice(2)];
    assert.equal(say({ ...preflight, clients, rawHeaders: other }), 'login no-session challenge');
  });

  it('makes public assets public where the provider says so', () => {
    const assets = compile('', { public_assets: true });
    const manifest = { identity: absent, path: readPath('/manifest.json'), rules: none };
    assert.equal(say({ ...manifest, kind: 'unknown' }), 'login no-session challenge', 'never a redirect');
    assert.equal(say({ ...manifest, kind: 'navigation' }), 'login no-session redirect');
    assert.equal(say({ ...manifest, rules: assets }), 'allow public-asset');
    assert.equal(say({ ...manifest, rules: assets, method: undefined }), 'allow public-asset');
    assert.equal(say({ ...manifest, rules: assets, method: 'POST' }), 'login no-session redirect');
    assert.equal(say({ ...manifest, rules: assets, identity: person }), 'allow session', 'people keep their name');
    const asks = ['Sec-Fetch-Dest', 'manifest', 'Sec-Fetch-Mode', 'cors'];
    assert.equal(
      say({ ...manifest, rules: assets, path: readPath('/x'), rawHeaders: asks }),
      'login no-session redirect',
    );
  });
});

describe('kind of request', () => {
  const cases: [Record<string, string>, RequestKind][] = [
    [{}, 'unknown'],
    [{ accept: '*/*' }, 'unknown'],
    [{ accept: '*/*', origin: 'http://app.test' }, 'background'],
    [{ accept: 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8' }, 'navigation'],
    [{ accept: 'application/json' }, 'background'],
    [{ accept: 'image/avif,image/webp,*/*' }, 'background'],
    [{ accept: 'text/html', requestedWith: 'XMLHttpRequest' }, 'background'],
    [{ accept: 'text/html', upgrade: 'websocket' }, 'background'],
    [{ fetchMode: 'navigate', fetchDest: 'document' }, 'navigation'],
    [{ fetchMode: 'navigate', fetchDest: 'iframe', accept: 'text/html' }, 'framed'],
    [{ fetchMode: 'navigate', fetchDest: 'object' }, 'framed'],
    [{ fetchMode: 'nested-navigate' }, 'framed'],
    [{ fetchMode: 'cors', accept: 'text/html' }, 'background'],
    [{ fetchMode: 'no-cors', fetchDest: 'manifest' }, 'background'],
    [{ fetchMode: 'same-origin', fetchDest: 'serviceworker' }, 'background'],
    [{ fetchMode: 'websocket' }, 'background'],
  ];
  for (const [headers, kind] of cases) {
    it(`${JSON.stringify(headers)} -> ${kind}`, () => assert.equal(requestKind({ headers: headers as never }), kind));
  }

  it('never leads a form away', () => {
    const navigation = { fetchMode: 'navigate', fetchDest: 'document' };
    const repeatable = (method: string, headers: object) =>
      isRepeatableNavigation({ method, headers: headers as never });
    assert.equal(repeatable('GET', navigation), true);
    assert.equal(repeatable('POST', navigation), false);
    assert.equal(repeatable('GET', { ...navigation, contentType: 'application/x-www-form-urlencoded' }), false);
    assert.equal(repeatable('GET', { ...navigation, origin: 'http://app.test' }), false);
    assert.equal(repeatable('GET', {}), false);
  });
});
