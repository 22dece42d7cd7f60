import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import type { Problem } from '../../outpost/exchange.ts';
import { ProblemReports } from './problem-reports.ts';
import { reportProblem } from './rest.ts';

const log = pino({ level: 'silent' });
const problem = (over: Partial<Problem> = {}): Problem => ({
  code: 'no-original-address',
  message: 'Outpost o (Provider p) failed to detect a forward URL from Traefik',
  provider: 1,
  clientIp: '192.0.2.1',
  ...over,
});
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('reports of problems', () => {
  it('are told once in five minutes for a code and provider, whoever asks', async () => {
    const clock = { ms: 1e12 };
    const told: Problem[] = [];
    const reports = new ProblemReports(
      async (p) => void told.push(p),
      log,
      () => clock.ms,
    );
    for (let i = 0; i < 50; i++) reports.add(problem({ clientIp: `192.0.2.${i}`, message: `m${i}` }));
    reports.add(problem({ provider: 2 }));
    await turn();
    assert.deepEqual(
      told.map(({ provider }) => provider),
      [1, 2],
    );
    clock.ms += 299_999;
    reports.add(problem());
    await turn();
    assert.equal(told.length, 2);
    clock.ms += 1;
    reports.add(problem());
    await turn();
    assert.equal(told.length, 3);
  });

  it('wait while the server is away, a bounded number of them, and none keeps the others waiting', async () => {
    const told: (number | undefined)[] = [];
    let refuses = (_: Problem) => true;
    const tell = async (p: Problem) => {
      if (refuses(p)) throw new Error('away');
      told.push(p.provider);
    };
    const reports = new ProblemReports(tell, log);
    for (let provider = 1; provider <= 300; provider++) reports.add(problem({ provider }));
    await turn();
    refuses = ({ provider }) => provider === 5;
    for (let i = 0; i < 3; i++) await reports.tellAll();
    assert.ok(told.length >= 99 && told.length <= 101, String(told.length));
    refuses = () => false;
    await reports.tellAll();
    await reports.tellAll();
    assert.equal(new Set(told).size, told.length, 'each once');
    assert.ok(told.includes(5));
  });

  it('have the published form', async () => {
    const bodies: string[] = [];
    const statuses = [201, 400, 503];
    const server = createServer((req, res) => {
      let body = '';
      req.on('data', (part) => (body += String(part)));
      req.on('end', () => {
        bodies.push(`${req.method} ${req.url} ${body}`);
        res.writeHead(statuses.shift() ?? 500).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const call = ((address: string, init: RequestInit) => fetch(base + address, init)) as typeof fetch;
    try {
      await reportProblem(call, problem({ context: { url: 'http://app.test/' } }));
      assert.deepEqual(bodies[0]?.split(' ').slice(0, 2), ['POST', '/api/v3/events/events/']);
      assert.deepEqual(JSON.parse(bodies[0]?.slice(bodies[0].indexOf('{')) ?? ''), {
        action: 'configuration_error',
        app: 'authentik.providers.proxy',
        context: {
          message: 'Outpost o (Provider p) failed to detect a forward URL from Traefik',
          code: 'no-original-address',
          url: 'http://app.test/',
        },
        client_ip: '192.0.2.1',
      });
      await reportProblem(call, problem()); // refused: telling it again would not help
      await assert.rejects(reportProblem(call, problem()), /answered 503/);
    } finally {
      server.close().closeAllConnections();
    }
  });
});
