/** Claims that lead a person to a backend of their own: spec/outpost.md 12, security rule K. */
import assert from 'node:assert/strict';
import { createServer, get } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { ProviderExtension } from '../../contract/api.ts';
import { DEFAULT_PROVIDER_SETTINGS } from '../../contract/provider-settings.ts';
import { ALICE, outpostInstance, providerConfig, TestOutpost } from '../data-plane.test-helper.ts';
import type { Person } from '../data-plane.test-helper.ts';

/** Says who it is and what it was asked. */
async function backend(name: string): Promise<{ server: Server; origin: string; authority: string }> {
  const server = createServer((req, res) => {
    if (req.url?.endsWith('/stream') === true) return void res.write(`${name} begins`);
    const cookie = `a=1; Domain=${(req.headers.host ?? '').replace(/:\d+$/, '')}`;
    const location = `http://${req.headers.host ?? ''}/landing`;
    res.writeHead(200, { 'set-cookie': cookie, location }).end(`${name} ${req.headers.host ?? ''} ${req.url ?? ''}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const authority = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { server, origin: `http://${authority}`, authority };
}

describe('a backend that a token names', () => {
  let own: Awaited<ReturnType<typeof backend>>;
  let other: Awaited<ReturnType<typeof backend>>;
  before(async () => {
    own = await backend('own');
    other = await backend('other');
  });
  after(() => {
    for (const { server } of [own, other]) {
      server.closeAllConnections();
      server.close();
    }
  });

  const provider = (over: Partial<ProviderExtension> = {}) =>
    providerConfig({
      mode: 'proxy',
      internal_host: `${own.origin}/base`,
      skip_path_regex: '^/public',
      gatehouse: {
        ...{ ...DEFAULT_PROVIDER_SETTINGS, managed_headers: [], previous_cookie_secret: '', applications: [] },
        ...over,
      },
    });
  const led = (ak_proxy: Record<string, unknown>): Person => ({ ...ALICE, claims: { ...ALICE.claims, ak_proxy } });
  const signedIn = async (
    t: { after(work: () => unknown): void },
    claims: Record<string, unknown>,
    over: Partial<ProviderExtension> = {},
  ) => {
    const outpost = await TestOutpost.start([provider(over)]);
    t.after(() => outpost.stop());
    await outpost.login('/page?a=1', led(claims));
    return outpost;
  };

  it('is where the person’s requests go: scheme, host and path', async (t) => {
    const claims = { backend_override: `${other.origin}/ada/` };
    const outpost = await signedIn(t, claims, { backend_hosts: [other.authority] });
    assert.equal((await outpost.browse('/x?y=1')).body, `other ${other.authority} /ada/x?y=1`);
    const nobody = await outpost.send('/public/x');
    assert.equal(nobody.body, `own ${own.authority} /base/public/x`, 'nobody is led nowhere');
  });

  it('may be another path of the application itself', async (t) => {
    const outpost = await signedIn(t, { backend_override: `${own.origin}/ada` });
    assert.equal((await outpost.browse('/x')).body, `own ${own.authority} /ada/x`);
  });

  it('is refused unless the provider allows it, with 502 and an event, and nothing else answers', async (t) => {
    for (const backend_hosts of [[], ['127.0.0.1:1'], ['localhost']]) {
      const outpost = await signedIn(t, { backend_override: `${other.origin}/ada` }, { backend_hosts });
      const answer = await outpost.browse('/x');
      assert.equal(answer.status, 502);
      assert.match(answer.body, /backend-refused/);
      assert.doesNotMatch(answer.body, /own 127|other 127/);
      const problem = outpost.problems.find(({ code }) => code === 'backend-refused');
      assert.equal(problem?.context?.['backend'], other.authority);
      assert.equal(outpost.log.at(-1)?.reason, 'backend-refused');
    }
  });

  for (const override of [':qewr', 'http://127.0.0.1:1@evil.test/', 'http://foo/../x', 'javascript:alert(1)']) {
    it(`is refused when it is ${override}`, async (t) => {
      const outpost = await signedIn(t, { backend_override: override }, { backend_hosts: ['foo'] });
      assert.equal((await outpost.browse('/x')).status, 502);
    });
  }

  it('is looked at for every request: what is allowed may change after the login', async (t) => {
    const claims = { backend_override: other.origin };
    const outpost = await signedIn(t, claims, { backend_hosts: [other.authority] });
    assert.equal((await outpost.browse('/x')).status, 200);
    outpost.plane.configure(outpostInstance(), [provider({ backend_hosts: [] })]);
    assert.equal((await outpost.browse('/x')).status, 502);
    outpost.plane.configure(outpostInstance(), [provider({ backend_hosts: [other.authority] })]);
    assert.equal((await outpost.browse('/x')).body, `other ${other.authority} /x`);
  });

  for (const [changed, story] of [
    [false, 'goes on with what is under way while fresh claims lead there'],
    [true, 'is left by what is under way when fresh claims lead elsewhere'],
  ] as const) {
    it(story, async (t) => {
      const outpost = await signedIn(t, { backend_override: other.origin }, { backend_hosts: [other.authority] });
      const person = led({ backend_override: changed ? own.origin : other.origin });
      const asked = new Promise<void>((resolve) => {
        outpost.server.refresh = async () => {
          setImmediate(resolve);
          const gatehouse = { cursor: { epoch: 'e1', n: 11 }, headers: [] };
          return { result: 'token', access_token: await outpost.server.sign('client-1', 'app', person), gatehouse };
        };
      });
      const headers = { host: 'app.test', ...outpost.cookieHeader() };
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        const options = { host: '127.0.0.1', port: outpost.port, path: '/stream', headers, agent: false };
        get(options, resolve).on('error', reject);
      });
      t.after(() => answer.destroy());
      const broken = new Promise((resolve) => answer.once('error', () => resolve('broken off')));
      await new Promise((resolve) => answer.once('data', resolve));
      const until = Date.now() + 3_600_000;
      const event = { n: 11, until, kind: 'user-changed', uid: ALICE.sub, effect: 'refresh' } as const;
      outpost.plane.applyEvents({ epoch: 'e1', snapshot: false, n: 11, events: [event] });
      await asked;
      if (changed) assert.equal(await broken, 'broken off');
      else {
        // a request that is decided after the event has been dealt with
        assert.equal((await outpost.browse('/x')).status, 200);
        assert.ok(!answer.destroyed);
      }
    });
  }

  it('sees the Host that the token names, and what it says about that comes home', async (t) => {
    for (const host of ['backend', 'original'] as const) {
      const outpost = await signedIn(t, { host_header: 'shop.internal' }, { host });
      const answer = await outpost.browse('/x');
      assert.equal(answer.body, 'own shop.internal /base/x');
      assert.equal(answer.headers.location, 'http://app.test/landing');
      assert.match(String(answer.headers['set-cookie']), /a=1; Domain=app\.test/i);
    }
  });

  it('sees no Host that is none', async (t) => {
    const outpost = await signedIn(t, { host_header: 'a b' });
    assert.equal((await outpost.browse('/x')).status, 502);
    assert.equal(outpost.problems[0]?.code, 'backend-refused');
  });
});
