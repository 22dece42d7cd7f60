import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { providerConfig, TestOutpost } from '../data-plane.test-helper.ts';
import { ASKERS } from '../decision-table.test-helper.ts';
import type { Asker } from '../decision-table.test-helper.ts';

const settings = { ...providerConfig().gatehouse!, websocket_origins: ['https://partner.test'] };
const HANDSHAKES = [
  { upgrade: 'websocket', connection: 'upgrade' },
  { 'sec-websocket-version': '13' },
  { 'sec-fetch-mode': 'websocket', 'sec-fetch-dest': 'empty' },
] as const;
const asking = ASKERS.filter(({ dialect }) => dialect !== 'proxy');

describe('WebSockets behind a reverse proxy that asks', () => {
  let single: TestOutpost;
  let domain: TestOutpost;
  before(async () => {
    single = await TestOutpost.start([
      providerConfig({ external_host: 'https://app.test', skip_path_regex: '^/public', gatehouse: settings }),
    ]);
    await single.login('/', undefined);
    domain = await TestOutpost.start([
      providerConfig({ external_host: 'http://app.test', mode: 'forward_domain', cookie_domain: 'app.test' }),
    ]);
    domain.server.extension.applications = ['app'];
    await domain.login('/', undefined);
  });
  after(() => Promise.all([single.stop(), domain.stop()]));

  const ask = async (
    asker: Asker,
    outpost: TestOutpost,
    headers: Record<string, string>,
    host = 'app.test',
    path = '/ws',
  ) =>
    (
      await asker.ask(outpost, {
        target: path,
        host,
        headers: { 'x-forwarded-proto': 'http', ...headers, ...outpost.cookieHeader() },
      })
    ).status;

  for (const asker of asking) {
    it(`${asker.name}: pages of the application open them, others do not`, async () => {
      for (const handshake of HANDSHAKES) {
        for (const origin of ['https://app.test', 'http://app.test', 'https://partner.test']) {
          assert.equal(
            await ask(asker, single, { ...handshake, origin }),
            200,
            `${origin} ${Object.keys(handshake)[0]}`,
          );
        }
        for (const origin of ['https://evil.test', 'null', '', 'https://app.test:8443', 'https://app.test.evil.test']) {
          assert.equal(
            await ask(asker, single, { ...handshake, origin }),
            403,
            `${origin} ${Object.keys(handshake)[0]}`,
          );
        }
        assert.equal(await ask(asker, single, handshake), 200, 'no browser');
      }
      assert.equal(await ask(asker, single, { origin: 'https://evil.test' }), 200, 'no WebSocket');
      assert.equal(await ask(asker, single, { origin: 'https://app.test', ...HANDSHAKES[0] }, 'app.test:8080'), 200);
      assert.equal(
        await ask(asker, single, { origin: 'http://app.test:8080', ...HANDSHAKES[0] }, 'app.test:8080'),
        200,
      );
      assert.ok(single.log.some(({ reason }) => reason === 'websocket-origin'));
    });

    it(`${asker.name}: at domain level the page must be of the host asked for`, async () => {
      const [handshake] = HANDSHAKES;
      const open = (origin: string) => ask(asker, domain, { ...handshake, origin }, 'a.app.test');
      assert.equal(await open('http://a.app.test'), 200);
      assert.equal(await open('https://a.app.test'), 200);
      assert.equal(await open('http://b.app.test'), 403);
      assert.equal(await open('http://app.test'), 403);
    });
  }

  it('counts the scheme of the external host where none is told', async () => {
    const envoy = asking.find(({ name }) => name.endsWith('/auth/envoy'))!;
    const headers = { ...HANDSHAKES[0], origin: 'http://app.test', ...single.cookieHeader() };
    assert.equal((await envoy.ask(single, { target: '/ws', headers })).status, 403);
  });

  it('nobody is asked where nobody is signed in', async () => {
    const [traefik] = asking.filter(({ name }) => name.endsWith('/auth/traefik'));
    const headers = { ...HANDSHAKES[0], origin: 'https://evil.test' };
    const answer = await traefik!.ask(single, { target: '/public/ws', headers });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['x-authentik-username'] ?? '', '');
  });
});
