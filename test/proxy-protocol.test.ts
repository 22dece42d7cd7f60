import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { after, afterEach, before, describe, it } from 'node:test';
import { Client, trace } from './harness/client.ts';
import { startFront } from './harness/fronts.ts';
import type { Front } from './harness/fronts.ts';
import { Gatehouse } from './harness/gatehouse.ts';
import { freePort } from './harness/ports.ts';
import { Provision } from './harness/provision.ts';
import { Upstream, valuesOf } from './harness/upstream.ts';
import type { Received } from './harness/upstream.ts';
import { failed, eventually } from './harness/wait.ts';

/** An address of this machine that Gatehouse does not trust; HAProxy itself connects from 127.0.0.1. */
const VISITOR = '127.0.0.7';
/** How HAProxy passes connections on. `check` looks whether the server is there, in its own name. */
const WAYS = {
  v1: 'send-proxy',
  v2: 'send-proxy-v2',
  checked: 'send-proxy-v2 proxy-v2-options unique-id,crc32c check check-send-proxy inter 100ms',
  silent: '',
} as const;
type Way = keyof typeof WAYS;

describe('the real HAProxy in TCP mode', () => {
  let gatehouse: Gatehouse;
  let upstream: Upstream;
  let haproxy: Front;
  let client: Client;
  let secure: number;
  const plainPorts = {} as Record<Way, number>;
  const securePorts = {} as Record<Way, number>;

  before(async () => {
    secure = await freePort();
    gatehouse = await Gatehouse.start({
      workers: 2,
      securePort: secure,
      env: { GATEHOUSE_LISTEN__TRUSTED_PROXY_CIDRS: '127.0.0.1/32' },
    });
    upstream = await Upstream.start();
    for (const way of Object.keys(WAYS) as Way[]) {
      plainPorts[way] = await freePort();
      securePorts[way] = await freePort();
    }
    haproxy = await startFront('haproxy', configuration(), securePorts.v2);
    const provision = new Provision(gatehouse.api);
    const base = `https://auth.test:${securePorts.v2}`;
    await provision.serverAddress(base);
    const alice = await provision.user('alice');
    await provision.application({
      slug: 'wiki',
      mode: 'proxy',
      externalHost: `https://wiki.test:${securePorts.v2}`,
      internalHost: upstream.origin,
      provider: { skip_path_regex: '^/public/' },
    });
    await provision.served(gatehouse.origin, `https://wiki.test:${securePorts.v2}`);
    client = new Client();
    const page = await client.enter(`https://wiki.test:${securePorts.v2}/`, 'alice', alice.password);
    assert.equal(page.status, 200, trace(page));
  });
  after(async () => {
    await client?.close();
    await haproxy?.stop();
    await upstream?.stop();
    await gatehouse?.stop();
  });
  afterEach((t) => {
    gatehouse?.explain(t);
    if (failed(t)) console.error(haproxy?.log());
  });

  const configuration = () => `
global
  maxconn 200
defaults
  mode tcp
  timeout connect 5s
  timeout check 20s
  timeout client 30s
  timeout server 30s
${(Object.entries(WAYS) as [Way, string][])
  .map(
    ([way, how]) => `
listen plain-${way}
  bind 127.0.0.1:${plainPorts[way]}
  server gatehouse 127.0.0.1:${gatehouse.port} ${how}
listen secure-${way}
  bind 127.0.0.1:${securePorts[way]}
  server gatehouse 127.0.0.1:${secure} ${how}`,
  )
  .join('\n')}
`;

  /** What the application received of a visitor who connects from {@link VISITOR}. */
  const received = (port: number, tls: boolean, headers: Record<string, string> = {}) =>
    new Promise<Received>((resolve, reject) => {
      const options = {
        host: '127.0.0.1',
        port,
        localAddress: VISITOR,
        path: '/public/x',
        agent: false,
        headers: { host: `wiki.test:${securePorts.v2}`, ...headers },
      };
      const sent = tls ? httpsRequest({ ...options, rejectUnauthorized: false }) : httpRequest(options);
      sent.once('error', reject);
      sent.once('response', (answer) => {
        let text = '';
        answer.on('data', (part) => (text += String(part)));
        answer.once('end', () => {
          if (answer.statusCode === 200) resolve(JSON.parse(text) as Received);
          else reject(new Error(`${answer.statusCode} ${text}`));
        });
      });
      sent.end();
    });

  for (const way of ['v1', 'v2', 'checked'] as const) {
    for (const tls of [false, true]) {
      it(`announces the visitor (${way}, ${tls ? 'HTTPS' : 'HTTP'}), who is believed nothing else`, async () => {
        const { rawHeaders } = await received((tls ? securePorts : plainPorts)[way], tls, {
          'x-forwarded-for': '203.0.113.6',
          'x-forwarded-proto': 'https',
          'x-real-ip': '203.0.113.6',
        });
        assert.deepEqual(valuesOf(rawHeaders, 'x-forwarded-for'), [VISITOR]);
        assert.deepEqual(valuesOf(rawHeaders, 'x-forwarded-proto'), [tls ? 'https' : 'http']);
        assert.deepEqual(valuesOf(rawHeaders, 'x-real-ip'), []);
      });
    }
  }

  it('may say nothing: then it is the peer itself, and believed', async () => {
    for (const tls of [false, true]) {
      const { rawHeaders } = await received((tls ? securePorts : plainPorts).silent, tls, {
        'x-forwarded-for': '203.0.113.6',
      });
      assert.deepEqual(valuesOf(rawHeaders, 'x-forwarded-for'), ['203.0.113.6, 127.0.0.1']);
    }
  });

  it('stands in the log with the address announced', async () => {
    await received(plainPorts.v1, false);
    await eventually('a line of the visitor', 20_000, async () =>
      assert.match(gatehouse.log, new RegExp(`"remote":"${VISITOR}".*"event":"/public/x"`)),
    );
  });

  it('leads through the login over HTTPS', async () => {
    const page = await client.open(`https://wiki.test:${securePorts.v2}/private?x=1`);
    assert.equal(page.status, 200);
    assert.deepEqual(valuesOf((JSON.parse(page.text) as Received).rawHeaders, 'x-authentik-username'), ['alice']);
  });

  it('keeps a connection for many requests, and carries large ones', async () => {
    const body = Buffer.alloc(3_000_000, 'x');
    for (let i = 0; i < 5; i++) {
      const page = await client.send('POST', `https://wiki.test:${securePorts.v2}/up/${i}`, { body });
      assert.equal((JSON.parse(page.text) as Received).bodyBytes, body.length);
    }
  });
});
