/** What applications are sent beside the published headers: presets, own names, Basic credentials, attributes. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Client, trace } from './harness/client.ts';
import { EchoUpstream } from './harness/echo-upstream.ts';
import { FRONTS, startFront } from './harness/fronts.ts';
import type { Front } from './harness/fronts.ts';
import { Gatehouse } from './harness/gatehouse.ts';
import { configText } from './harness/live.ts';
import { freePort } from './harness/ports.ts';
import { Provision } from './harness/provision.ts';
import type { Application, Person } from './harness/provision.ts';
import { valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { eventually, failed } from './harness/wait.ts';

const GROUP_SECRET = 'secret-of-an-earlier-group';
const SECRET = 'secret-of-the-later-group';
const HEADER_SECRET = 'secret-in-a-header';

/** What every way of sending brings, for erin. */
const ERIN: Readonly<Record<string, string>> = {
  'remote-user': 'erin',
  'remote-groups': 'a-writers,b%2C c|d,z-later',
  'remote-email': 'erin@example.test',
  // a name of the provider's own takes the place of the preset's
  'remote-name': 'erin@example.test',
  'x-forwarded-user': 'erin',
  'x-forwarded-email': 'erin@example.test',
  'x-forwarded-groups': 'a-writers,b%2C c|d,z-later',
  'x-forwarded-preferred-username': 'erin',
  'x-auth-request-user': 'erin',
  'x-auth-request-email': 'erin@example.test',
  'x-auth-request-groups': 'a-writers,b%2C c|d,z-later',
  'x-auth-request-preferred-username': 'erin',
  'x-webauth-user': 'erin',
  'x-all-groups': 'a-writers|b, c%7Cd|z-later',
  'x-verified': 'false',
  'x-no-such-claim': '',
  'x-authentik-groups': 'a-writers|b, c%7Cd|z-later',
};
const FORGED: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.keys(ERIN).map((name) => [name, 'forged'])),
  ...Object.fromEntries(Object.keys(ERIN).map((name) => [name.replaceAll('-', '_'), 'forged'])),
};

const basic = (user: string, password: string) => Buffer.from(`${user}:${password}`).toString('base64');

let gatehouse: Gatehouse;
let provision: Provision;
let upstream: EchoUpstream;
let erin: Person;
let frank: Person;
const clients: Client[] = [];

before(async () => {
  gatehouse = await Gatehouse.start({ workers: 1, env: { GATEHOUSE_LOG_LEVEL: 'debug' } });
  provision = new Provision(gatehouse.api);
  upstream = await EchoUpstream.start();
  await provision.serverAddress(`http://auth.test:${gatehouse.port}`);
  erin = await provision.user('erin', {
    attributes: {
      app_username: 'erin-app',
      additionalHeaders: { 'X-Team': 'blue', 'X-Number': 7, 'X-Flag': true, 'X-Nothing': null },
    },
  });
  frank = await provision.user('frank');
  await provision.group('z-later', [erin.pk], { attributes: { app_password: SECRET } });
  await provision.group('a-writers', [erin.pk], {
    attributes: {
      app_username: 'writers',
      app_password: GROUP_SECRET,
      additionalHeaders: { 'x-team': 'red', 'X-Key': HEADER_SECRET },
    },
  });
  await provision.group('b, c|d', [erin.pk]);
});
after(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await upstream?.stop();
  await gatehouse?.stop();
});

const visitor = () => {
  const client = new Client();
  clients.push(client);
  return client;
};

function application(slug: string, mode: 'proxy' | 'forward_single', externalHost: string): Promise<Application> {
  return provision.application({
    slug,
    mode,
    externalHost,
    ...(mode === 'proxy' ? { internalHost: upstream.origin } : {}),
    gatehouse: {
      header_presets: ['remote', 'x_forwarded', 'x_auth_request'],
      header_claims: [
        { name: 'X-WEBAUTH-USER', claim: 'preferred_username' },
        { name: 'Remote-Name', claim: 'email' },
        { name: 'X-All-Groups', claim: 'groups' },
        { name: 'X-Verified', claim: 'email_verified' },
        { name: 'X-No-Such-Claim', claim: 'shoe_size' },
      ],
    },
    provider: {
      skip_path_regex: '^/public/',
      basic_auth_enabled: true,
      basic_auth_user_attribute: 'app_username',
      basic_auth_password_attribute: 'app_password',
    },
  });
}

const headersOf = (page: { text: string }) => (JSON.parse(page.text) as Received).rawHeaders;

async function entered(app: string, person: Person): Promise<{ client: Client; headers: string[] }> {
  const client = visitor();
  const page = await client.enter(`${app}/`, person.username, person.password);
  assert.equal(page.status, 200, trace(page));
  return { client, headers: headersOf(page) };
}

for (const way of ['proxy mode', ...FRONTS] as const) {
  describe(`headers for an application: ${way}`, () => {
    let front: Front | undefined;
    let app: string;

    before(async () => {
      if (way === 'proxy mode') {
        app = `http://sent.test:${gatehouse.port}`;
        await application('sent', 'proxy', app);
        return provision.served(gatehouse.origin, app);
      }
      const port = await freePort();
      app = `https://${way}.test:${port}`;
      await application(way, 'forward_single', app);
      await provision.served(gatehouse.origin, app);
      const named = ['--upstream', upstream.origin, '--outpost-url', gatehouse.origin];
      front = await startFront(way, await configText(gatehouse, [way, '--provider', way, ...named]), port);
    });
    after(() => front?.stop());
    afterEach((t) => {
      gatehouse.explain(t);
      if (failed(t)) console.error(front?.log());
    });

    it('hold presets, names of its own, and credentials with the published precedence', async () => {
      const { headers } = await entered(app, erin);
      for (const [name, value] of Object.entries(ERIN)) assert.equal(valuesOf(headers, name).join(), value, name);
      // the user name of the person, before those of groups; of two groups the one with the later name
      assert.deepEqual(valuesOf(headers, 'authorization'), [`Basic ${basic('erin-app', SECRET)}`]);
    });

    it('hold the e-mail address and an empty password of whom no attribute names', async () => {
      const { headers } = await entered(app, frank);
      assert.deepEqual(valuesOf(headers, 'authorization'), [`Basic ${basic('frank@example.test', '')}`]);
      assert.equal(valuesOf(headers, 'remote-groups').join(''), '');
    });

    it('are nobody’s to send', async () => {
      const { client } = await entered(app, erin);
      for (const [who, path] of [
        [client, '/x'],
        [client, '/public/x'],
        [visitor(), '/public/x'],
      ] as const) {
        const page = await who.background('GET', app + path, { headers: FORGED });
        assert.equal(page.status, 200, page.text);
        assert.ok(!headersOf(page).includes('forged'), `${path}: ${headersOf(page).join('\n')}`);
      }
    });
  });
}

describe('attributes of people and groups', () => {
  afterEach((t) => gatehouse.explain(t));

  it('become headers: any scalar is text, and the later source counts in whatever spelling', async () => {
    const { headers } = await entered(`http://sent.test:${gatehouse.port}`, erin);
    const values = (name: string) => valuesOf(headers, name);
    assert.deepEqual(values('x-team'), ['blue']);
    assert.deepEqual([values('x-number'), values('x-flag'), values('x-nothing')], [['7'], ['true'], ['']]);
    assert.deepEqual(values('x-key'), [HEADER_SECRET]);
  });

  it('are refused where they cannot be headers, by the name of the header', async () => {
    for (const [additionalHeaders, what] of [
      [{ 'X-List': ['a'] }, /X-List.*must be text/],
      [{ 'X-Object': {} }, /X-Object.*must be text/],
      [{ Host: 'evil.test' }, /Host.*may not be set/],
      [{ 'X Y': 'a' }, /X Y.*not a valid header name/],
      ['X-Text: a', /must be an object/],
    ] as const) {
      for (const path of [`core/users/${frank.pk}/`, 'core/groups/']) {
        const body = { name: 'refused', attributes: { additionalHeaders } };
        const answer = await gatehouse.api.raw(path === 'core/groups/' ? 'POST' : 'PATCH', path, body);
        assert.equal(answer.status, 400, answer.text);
        assert.match(JSON.parse(answer.text).attributes.join(' '), what);
      }
    }
  });

  it('never stand in a log, in metrics, in a token, in events or at userinfo', async () => {
    const app = `http://sent.test:${gatehouse.port}`;
    const { client, headers } = await entered(app, erin);
    // an error on the way is logged with more words
    await provision.application({ slug: 'gone', mode: 'proxy', externalHost: `http://gone.test:${gatehouse.port}`,
      internalHost: 'http://127.0.0.1:9',
      provider: { basic_auth_enabled: true, basic_auth_user_attribute: 'app_username', basic_auth_password_attribute: 'app_password' } }); // prettier-ignore
    await provision.served(gatehouse.origin, `http://gone.test:${gatehouse.port}`);
    assert.equal((await client.open(`http://gone.test:${gatehouse.port}/`)).status, 502);
    const secrets = [SECRET, GROUP_SECRET, HEADER_SECRET, basic('erin-app', SECRET)];
    const clean = (where: string, text: string) => {
      for (const secret of secrets) assert.ok(!text.includes(secret), `${where} holds ${secret}`);
    };
    const [token = ''] = valuesOf(headers, 'x-authentik-jwt');
    clean('the token', Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    const userinfo = await fetch(`${gatehouse.origin}/application/o/userinfo/`, {
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(userinfo.status, 200);
    clean('userinfo', await userinfo.text());
    for (const path of ['events/events/?page_size=1000', 'providers/proxy/', 'outposts/instances/']) {
      const answer = await gatehouse.api.raw('GET', path);
      assert.equal(answer.status, 200, answer.text);
      clean(path, answer.text);
    }
    clean('metrics', await (await fetch(`http://127.0.0.1:${gatehouse.metricsPort}/metrics`)).text());
    await client.open(`${app}/last-request`);
    await eventually('the log has everything', 10_000, async () => {
      if (!gatehouse.log.includes('/last-request')) throw new Error('not yet');
    });
    clean('the log', gatehouse.log);
  });
});
