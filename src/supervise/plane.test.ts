import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { outpostInstance, providerConfig } from '../outpost/data-plane.test-helper.ts';
import type { Problem } from '../outpost/exchange.ts';
import { Metrics } from '../outpost/metrics.ts';
import type { FromWorker, WorkerStart } from './messages.ts';
import { planeMaker } from './plane.ts';
import { rarely } from './problems.ts';

const START: WorkerStart = {
  settings: {
    logLevel: 'error',
    logHttpHeaders: [],
    timeouts: { readHeader: 5000, read: 30_000, write: 60_000, idle: 120_000 },
    listen: { http: [], https: [], metrics: [], trustedProxyCidrs: ['127.0.0.0/8'], strictPeers: undefined },
    outpost: { host: undefined, token: undefined, insecure: false, hostBrowser: undefined },
  },
  listen: [],
  reusePort: false,
  backChannel: { base: 'http://localhost:1/', token: 't', verifyTls: true },
};

describe('the data plane of a worker', () => {
  it('tells of a problem that every request of strangers raises only once', async () => {
    const told: FromWorker[] = [];
    const plane = await planeMaker(pino({ level: 'silent' }))(START, new Metrics(), (message) => told.push(message));
    plane.configure(outpostInstance(), [
      providerConfig(),
      providerConfig({ pk: 2, external_host: 'http://other.test', client_id: 'client-2' }),
    ]);
    const server = createServer((req, res) => plane.handle(req, res)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      for (const host of ['app.test', 'app.test', 'other.test', 'app.test', 'other.test']) {
        const answer = await fetch(`http://127.0.0.1:${port}/outpost.goauthentik.io/auth/nginx`, {
          headers: { 'X-Forwarded-Host': host },
        });
        await answer.body?.cancel();
        assert.ok(answer.status >= 400, String(answer.status));
      }
      const problems = told.flatMap((message) => (message.kind === 'problem' ? [message.problem] : []));
      assert.deepEqual(
        problems.map(({ code, provider }) => [code, provider]),
        [
          ['no-original-address', 1],
          ['no-original-address', 2],
        ],
      );
    } finally {
      server.close().closeAllConnections();
      await plane.close();
    }
  });
});

describe('rarely', () => {
  it('passes on each code of each provider once a minute', () => {
    const told: string[] = [];
    const clock = { ms: 1_000_000 };
    const tell = rarely(
      (problem: Problem) => told.push(`${problem.code}-${problem.provider ?? 'none'}`),
      60_000,
      () => clock.ms,
    );
    const all = () => {
      const clientIp = '192.0.2.1';
      for (const provider of [1, 2]) for (const code of ['a', 'b']) tell({ code, message: '', provider, clientIp });
      tell({ code: 'a', message: String(Math.random()), clientIp });
    };
    all();
    const first = ['a-1', 'b-1', 'a-2', 'b-2', 'a-none'];
    assert.deepEqual(told, first);
    clock.ms += 59_999;
    all();
    assert.deepEqual(told, first);
    clock.ms += 1;
    all();
    assert.deepEqual(told, [...first, ...first]);
    clock.ms -= 3_600_000;
    all();
    assert.equal(told.length, 15, 'a clock set back does not silence it for an hour');
    for (const message of ['one mistake', 'another', 'one mistake'])
      tell({ code: 'configuration', message, provider: 1 });
    assert.equal(told.length, 17, 'each sentence about the configuration counts');
  });
});
