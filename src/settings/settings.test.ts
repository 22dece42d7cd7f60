import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { InvalidInput } from '../contract/errors.ts';
import { loadSettings } from './load.ts';
import { nearest } from './nearest.ts';
import { SETTINGS, type Setting } from './schema.ts';

/** The problems an environment is refused with, by variable. */
function problemsOf(env: Record<string, string>): Readonly<Record<string, readonly string[]>> {
  try {
    loadSettings(env);
  } catch (error) {
    assert.ok(error instanceof InvalidInput, String(error));
    return error.fields;
  }
  return {};
}

describe('settings of an outpost of its own', () => {
  const env = { AUTHENTIK_HOST: 'https://login.company/auth', AUTHENTIK_TOKEN: 't' };

  it('need an address and a token, by either name', () => {
    assert.equal(loadSettings(env, 'outpost').settings.outpost.host, 'https://login.company/auth');
    assert.equal(loadSettings({ GATEHOUSE_HOST: 'http://a', GATEHOUSE_TOKEN: 't' }, 'outpost').notes.length, 0);
    assert.throws(
      () => loadSettings({ AUTHENTIK_TOKEN: '', AUTHENTIK_INSECURE: '?' }, 'outpost'),
      (error: InvalidInput) => {
        assert.deepEqual(Object.keys(error.fields).sort(), ['AUTHENTIK_INSECURE', 'GATEHOUSE_HOST', 'GATEHOUSE_TOKEN']);
        return error.fields['GATEHOUSE_HOST']?.[0]?.startsWith('is missing (AUTHENTIK_HOST does as well).') === true;
      },
    );
    assert.throws(
      () => loadSettings({ ...env, AUTHENTIK_HOST: 'https://me:pw@login.company' }, 'outpost'),
      InvalidInput,
    );
  });

  it('name what only a server reads', () => {
    const { notes } = loadSettings({ ...env, AUTHENTIK_SECRET_KEY: 'x'.repeat(20), AUTHENTIK_ENV: 'a' }, 'outpost');
    assert.deepEqual(notes, ['These variables have no effect here: AUTHENTIK_ENV, AUTHENTIK_SECRET_KEY.']);
  });
});

describe('settings: defaults', () => {
  const { settings, notes } = loadSettings({});

  it('are the published ones', () => {
    assert.deepEqual(settings.listen.http, [{ host: '::', port: 9000 }]);
    assert.deepEqual(settings.listen.https, [{ host: '::', port: 9443 }]);
    assert.deepEqual(settings.listen.metrics, [{ host: '::', port: 9300 }]);
    assert.equal(
      settings.listen.trustedProxyCidrs.join(','),
      '127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fe80::/10,::1/128',
    );
    assert.deepEqual(settings.timeouts, { readHeader: 5000, read: 30_000, write: 60_000, idle: 120_000 });
    assert.equal(settings.logLevel, 'info');
    assert.equal(settings.webPath, '/');
    assert.deepEqual(settings.logHttpHeaders, ['User-Agent']);
  });

  it('of our own: a data folder here, nothing narrowed, workers by cores', () => {
    assert.equal(settings.data, path.resolve('data'));
    assert.equal(settings.listen.strictPeers, undefined);
    assert.equal(settings.workers, undefined);
    assert.equal(settings.secretKey, undefined);
    assert.deepEqual(notes, []);
  });
});

describe('settings: where values come from', () => {
  it('reads the published name, and our own name first', () => {
    assert.equal(loadSettings({ AUTHENTIK_LOG_LEVEL: 'debug' }).settings.logLevel, 'debug');
    const both = { AUTHENTIK_LOG_LEVEL: 'debug', GATEHOUSE_LOG_LEVEL: 'error' };
    assert.equal(loadSettings(both).settings.logLevel, 'error');
  });

  it('takes an empty value as not given, except where it means something', () => {
    assert.equal(loadSettings({ AUTHENTIK_LOG_LEVEL: '' }).settings.logLevel, 'info');
    assert.deepEqual(loadSettings({ AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS: '' }).settings.listen.trustedProxyCidrs, []);
    assert.deepEqual(loadSettings({ GATEHOUSE_STRICT_PEERS: '' }).settings.listen.strictPeers, []);
  });

  describe('elsewhere', () => {
    let folder = '';
    before(() => {
      folder = mkdtempSync(path.join(tmpdir(), 'gatehouse-settings-'));
      writeFileSync(path.join(folder, 'token'), '  from a file\n');
    });
    after(() => rmSync(folder, { recursive: true, force: true }));

    const token = (value: string, more: Record<string, string> = {}) =>
      loadSettings({ AUTHENTIK_TOKEN: value, ...more }).settings.outpost.token;

    it('follows file:// and trims', () => assert.equal(token(`file://${folder}/token`), 'from a file'));
    it('follows env://', () => assert.equal(token('env://OTHER', { OTHER: ' as it is ' }), ' as it is '));
    it('falls back only to what was given', () => {
      assert.equal(token(`file://${folder}/none?else`), 'else');
      assert.equal(token('env://NONE?a?b'), 'a?b');
      assert.equal(token('env://NONE?'), undefined);
    });
    it('refuses what leads nowhere, naming variable and source', () => {
      const fields = problemsOf({ AUTHENTIK_TOKEN: `file://${folder}/none`, GATEHOUSE_SECRET_KEY: 'env://NONE' });
      assert.match(String(fields['AUTHENTIK_TOKEN']), /\/none, which cannot be read/);
      assert.match(String(fields['GATEHOUSE_SECRET_KEY']), /NONE, which is not set/);
    });
  });
});

describe('settings: values', () => {
  const http = (value: string) => loadSettings({ AUTHENTIK_LISTEN__HTTP: value }).settings.listen.http;

  it('reads listen addresses', () => {
    assert.deepEqual(http(':8000'), [{ host: '::', port: 8000 }]);
    assert.deepEqual(http('0.0.0.0:80, [::1]:81'), [
      { host: '0.0.0.0', port: 80 },
      { host: '::1', port: 81 },
    ]);
    assert.deepEqual(http('127.0.0.1:0'), [{ host: '127.0.0.1', port: 0 }]);
  });

  const wrong: Record<string, string[]> = {
    AUTHENTIK_LISTEN__HTTP: [
      '9000',
      'localhost:9000',
      '::1:9000',
      '[127.0.0.1]:80',
      '[::]:70000',
      '[::]:',
      ',',
      '[]:1',
    ],
    AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS: [
      '10.0.0.0/33',
      'fe80::/129',
      '10.0.0.0/8/8',
      'example.com',
      '10.0.0.0/-1',
      '10.0.0.0/',
    ],
    GATEHOUSE_STRICT_PEERS: ['anybody'],
    GATEHOUSE_WORKERS: ['-1', '1.5', 'two', '257'],
    AUTHENTIK_INSECURE: ['yes', '2'],
    AUTHENTIK_HOST: ['example.com', 'ftp://example.com', 'http://[::1'],
    AUTHENTIK_LOG_LEVEL: ['loud'],
    AUTHENTIK_WEB__PATH: ['/a b/', '/../', '/a?b', '/akprox/', '/outpost.goauthentik.io/x/'],
    AUTHENTIK_WEB__TIMEOUT_HTTP_READ: ['30', '5 s', 's', '1h30'],
    AUTHENTIK_COOKIE_DOMAIN: ['https://example.com', 'exa mple.com', '..'],
    AUTHENTIK_SECRET_KEY: ['short'],
    AUTHENTIK_BOOTSTRAP_EMAIL: ['nobody', 'a b@c'],
    AUTHENTIK_LOG__HTTP_HEADERS: ['User Agent'],
  };
  for (const [variable, values] of Object.entries(wrong)) {
    for (const value of values) {
      it(`refuses ${variable}=${value}`, () =>
        assert.deepEqual(Object.keys(problemsOf({ [variable]: value })), [variable]));
    }
  }

  it('adds missing slashes to the web path', () => {
    assert.equal(loadSettings({ AUTHENTIK_WEB__PATH: 'login' }).settings.webPath, '/login/');
    assert.equal(loadSettings({ AUTHENTIK_WEB__PATH: '/a/b/' }).settings.webPath, '/a/b/');
  });

  it('reads durations as Go writes them', () => {
    const { timeouts } = loadSettings({
      AUTHENTIK_WEB__TIMEOUT_HTTP_READ: '1m30s',
      AUTHENTIK_WEB__TIMEOUT_HTTP_IDLE: '1.5h',
    }).settings;
    assert.equal(timeouts.read, 90_000);
    assert.equal(timeouts.idle, 5_400_000);
  });

  it('makes a network of a single address', () => {
    assert.deepEqual(loadSettings({ GATEHOUSE_STRICT_PEERS: '10.0.0.7,::1' }).settings.listen.strictPeers, [
      '10.0.0.7/32',
      '::1/128',
    ]);
  });
});

describe('settings: refusal', () => {
  it('reports all problems at once, by name', () => {
    const fields = problemsOf({
      AUTHENTIK_LOG_LEVEL: 'loud',
      GATEHOUSE_WORKERS: 'x',
      GATEHOUSE_WROKERS: '1',
      HOME: '/',
    });
    assert.deepEqual(Object.keys(fields).sort(), ['AUTHENTIK_LOG_LEVEL', 'GATEHOUSE_WORKERS', 'GATEHOUSE_WROKERS']);
    assert.match(String(fields['GATEHOUSE_WROKERS']), /Did you mean GATEHOUSE_WORKERS\?/);
  });

  it('never repeats a value', () => {
    const text = JSON.stringify(
      problemsOf({ AUTHENTIK_SECRET_KEY: 'hunter2', AUTHENTIK_HOST: 'hunter2', AUTHENTIK_TOKN: 'hunter2' }),
    );
    assert.doesNotMatch(text, /hunter2/);
  });

  it('accepts published settings of parts we lack, and names them once', () => {
    const { notes } = loadSettings({
      AUTHENTIK_POSTGRESQL__HOST: 'db',
      AUTHENTIK_EMAIL__PORT: '25',
      AUTHENTIK_TAG: '1',
    });
    assert.deepEqual(notes, [
      'These variables have no effect here: AUTHENTIK_EMAIL__PORT, AUTHENTIK_POSTGRESQL__HOST, AUTHENTIK_TAG.',
    ]);
    assert.deepEqual(Object.keys(problemsOf({ GATEHOUSE_POSTGRESQL__HOST: 'db' })), ['GATEHOUSE_POSTGRESQL__HOST']);
  });

  it('ignores what Kubernetes puts beside a service of our name', () => {
    const links = [
      'AUTHENTIK_SERVER_SERVICE_HOST',
      'AUTHENTIK_SERVICE_PORT_HTTP',
      'GATEHOUSE_PORT',
      'GATEHOUSE_PORT_9000_TCP_ADDR',
    ];
    assert.deepEqual(problemsOf(Object.fromEntries(links.map((name) => [name, 'x']))), {});
  });
});

describe('settings: effective values', () => {
  it('masks every secret and says where a value came from', () => {
    const env = Object.fromEntries(
      Object.values<Setting<unknown>>(SETTINGS)
        .filter((row) => row.secret)
        .map((row) => [`AUTHENTIK_${row.name}`, 'a-secret-of-some-length']),
    );
    assert.ok(Object.keys(env).length >= 4);
    const { effective } = loadSettings(env);
    assert.doesNotMatch(JSON.stringify(effective), /a-secret/);
    assert.deepEqual(
      effective
        .filter((row) => row.given)
        .map((row) => row.variable)
        .sort(),
      Object.keys(env).sort(),
    );
  });
});

describe('nearest name', () => {
  const known = ['GATEHOUSE_DATA', 'AUTHENTIK_LISTEN__HTTP', 'GATEHOUSE_LISTEN__HTTP'];
  it('forgives another prefix, case and underscores', () => {
    assert.equal(nearest('AUTHENTIK_DATA', known), 'GATEHOUSE_DATA');
    assert.equal(nearest('AUTHENTIK_LISTEN_HTTP', known), 'AUTHENTIK_LISTEN__HTTP');
    assert.equal(nearest('GATEHOUSE_listen_http', known), 'GATEHOUSE_LISTEN__HTTP');
  });
  it('is silent when nothing is near', () => assert.equal(nearest('AUTHENTIK_SOMETHING_ELSE', known), undefined));
});
