import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, it } from 'node:test';
import { AccessLog, redactTarget } from './access-log.ts';
import { processLog } from './process-log.ts';
import type { AccessEntry } from './access-log.ts';
import { Metrics, OutpostGauges, sumMetrics } from './metrics.ts';
import type { AnsweredRequest } from './metrics.ts';

describe('Metrics', () => {
  const answered = (over: Partial<AnsweredRequest> = {}): AnsweredRequest => ({
    method: 'GET',
    siteHost: 'app.test',
    type: 'app',
    runtime: 1,
    reason: 'session',
    ...over,
  });
  const make = () => {
    const metrics = new Metrics();
    metrics.configure('out', ['app.test']);
    return metrics;
  };

  it('sums workers, with the published names and labels', async () => {
    const [a, b, gauges] = [make(), make(), new OutpostGauges()];
    a.answered([answered({ runtime: 4 })]);
    b.answered([answered({ runtime: 200 })]);
    b.upstream('POST', 'https', 'app.test', 'backend:80', 0.1);
    gauges.updated('out', 'uuid-1', 1234);
    gauges.connection('out', 'uuid-1', true);
    const text = await sumMetrics([await a.snapshot(), await b.snapshot(), await gauges.snapshot()]);
    const labels = 'outpost_name="out",method="GET",host="app.test",type="app"';
    assert.ok(text.includes(`authentik_outpost_proxy_request_duration_seconds_count{${labels}} 2`), text);
    assert.ok(text.includes(`authentik_outpost_proxy_request_duration_seconds_bucket{le="0.005",${labels}} 1`));
    assert.match(
      text,
      /authentik_outpost_proxy_upstream_response_duration_seconds_count\{outpost_name="out",method="POST",scheme="https",host="app\.test",upstream_host="backend:80"\} 1/,
    );
    assert.match(text, /gatehouse_outpost_decisions_total\{outpost_name="out",verdict="allow",reason="session"\} 2/);
    assert.match(
      text,
      /authentik_outpost_info\{outpost_name="out",outpost_type="proxy",uuid="uuid-1",version="[\d.]+",build=""\} 1/,
    );
    assert.match(text, /authentik_outpost_last_update\{.*\} 1234/);
    assert.match(text, /authentik_outpost_connection\{outpost_name="out",outpost_type="proxy",uuid="uuid-1"\} 1/);
  });

  it('tells the kinds of a batch apart', async () => {
    const metrics = make();
    const kinds = [
      {},
      { type: 'ping' as const },
      {},
      { method: 'POST' },
      { method: 'POST', reason: 'no-session' as const },
    ];
    metrics.answered(kinds.map(answered));
    const text = await sumMetrics([await metrics.snapshot()]);
    const count = (labels: string) =>
      new RegExp(`seconds_count\\{outpost_name="out",${labels}\\} (\\d)`).exec(text)?.[1];
    assert.equal(count('method="GET",host="app.test",type="app"'), '2');
    assert.equal(count('method="GET",host="app.test",type="ping"'), '1');
    assert.equal(count('method="POST",host="app.test",type="app"'), '2');
    assert.match(text, /verdict="login",reason="no-session"\} 1/);
    assert.match(text, /verdict="allow",reason="session"\} 4/);
  });

  it('makes no series out of what clients send', async () => {
    const metrics = make();
    const hostile = Array.from({ length: 100 }, (_, i) => answered({ method: `M${i}`, siteHost: `h${i}.evil.test` }));
    metrics.answered(hostile);
    const text = await sumMetrics([await metrics.snapshot()]);
    assert.ok(text.includes('method="other",host="other",type="app"} 100'));
    assert.ok(!text.includes('evil'));
  });

  it('goes on counting after a change of configuration, and counts nothing before the first', async () => {
    const metrics = new Metrics();
    metrics.answered([answered()]);
    metrics.configure('out', ['app.test']);
    metrics.answered([answered()]);
    metrics.configure('out', ['app.test', 'b.test']);
    metrics.answered([answered()]);
    const text = await sumMetrics([await metrics.snapshot()]);
    assert.ok(text.includes('_count{outpost_name="out",method="GET",host="app.test",type="app"} 2'), text);
    assert.ok(!text.includes('outpost_name=""'));
  });
});

describe('redactTarget', () => {
  const cases: [string, string][] = [
    ['/a/b', '/a/b'],
    ['/a?x=1&y', '/a?x=1&y'],
    ['/cb?code=abc&state=def&x=1', '/cb?code=[redacted]&state=[redacted]&x=1'],
    ['/cb?CODE=abc&%63ode=abc', '/cb?CODE=[redacted]&%63ode=[redacted]'],
    ['/end?id_token_hint=eyJ', '/end?id_token_hint=[redacted]'],
    ['/start?rd=https://a.test/x?token=s', '/start?rd=https://a.test/x?[redacted]'],
    ['/start?rd=https%3A%2F%2Fa.test%2Fx%3Ftoken%3Ds&b=1', '/start?rd=https%3A%2F%2Fa.test%2Fx?[redacted]&b=1'],
    ['/x?%=1', '/x?%=1'],
    [`/${'a'.repeat(600)}`, `/${'a'.repeat(511)}…`],
  ];
  for (const [given, shown] of cases) it(given.slice(0, 60), () => assert.equal(redactTarget(given), shown));
});

describe('AccessLog', () => {
  const entry: AccessEntry = {
    at: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
    method: 'GET',
    target: '/x?code=secret-code',
    asked: undefined,
    host: 'app.test',
    scheme: 'https',
    status: 200,
    size: 321,
    type: 'app',
    runtime: 1.23456,
    remote: '192.0.2.1',
    provider: 'App',
    user: 'alice',
    reason: 'session',
    requestId: 'r1',
    rawHeaders: ['User-Agent', 'curl', 'Cookie', 'secret-cookie', 'AUTHORIZATION', 'secret-auth', 'X-Other', 'o'],
  };

  function lines(level: string): { log: AccessLog; written: string[] } {
    const written: string[] = [];
    const { log } = processLog(level, 'test', { write: (line) => void written.push(line) });
    return { log: new AccessLog(log, ['User-Agent', 'Cookie', 'Authorization', 'Referer']), written };
  }

  it('writes the published fields and no secret, whatever headers are asked for', () => {
    const { log, written } = lines('info');
    log.write(entry);
    const line = JSON.parse(written[0]!) as Record<string, unknown>;
    assert.equal(line['event'], '/x?code=[redacted]');
    assert.equal(line['runtime'], '1.235');
    assert.equal(line['user_agent'], 'curl');
    assert.equal(line['level'], 'info');
    assert.equal(line['logger'], 'authentik.outpost.proxyv2.application');
    assert.deepEqual([line['name'], line['user'], line['status'], line['remote']], ['App', 'alice', 200, '192.0.2.1']);
    assert.equal(line['timestamp'], '2026-01-02T03:04:05.006Z');
    assert.deepEqual([line['verdict'], line['reasons']], ['allow', ['session']]);
    assert.equal(line['size'], 321);
    assert.ok(!written[0]!.includes('secret'));
  });

  it('writes one line of JSON that says the same, whatever a client sends', () => {
    const text = fc.string({ unit: 'binary', maxLength: 60 });
    fc.assert(
      fc.property(text, text, text, (user, host, agent) => {
        const { log, written } = lines('info');
        log.write({ ...entry, user, host, rawHeaders: ['user-agent', agent] });
        const line = JSON.parse(written[0]!) as Record<string, unknown>;
        assert.deepEqual([line['user'], line['host'], line['user_agent']], [user, host, agent]);
        assert.equal(line['part'], 'test');
        assert.equal(written[0]!.indexOf('\n'), written[0]!.length - 1);
      }),
    );
  });

  it('takes secrets out of addresses in headers too', () => {
    const { log, written } = lines('info');
    const referer = 'https://app.test/outpost.goauthentik.io/callback?code=secret&state=secret&x=1';
    log.write({ ...entry, target: '/', rawHeaders: ['referer', referer] });
    const line = JSON.parse(written[0]!) as Record<string, unknown>;
    assert.match(String(line['referer']), /^https:\/\/app\.test\/.*code=\[redacted\]&state=\[redacted\]&x=1$/);
    assert.ok(!written[0]!.includes('secret'));
  });

  it('says which address a reverse proxy asked about, when it was not let through', () => {
    const { log, written } = lines('info');
    const asked = 'https://app.test/private?token=secret';
    log.write({ ...entry, asked, reason: 'no-session' });
    log.write({ ...entry, asked });
    const [refused, passed] = written.map((text) => JSON.parse(text) as Record<string, unknown>);
    assert.deepEqual([refused?.['asked'], passed?.['asked']], ['https://app.test/private?token=[redacted]', undefined]);
  });

  it('names another logger for pings, and no size that is not known', () => {
    const { log, written } = lines('info');
    log.write({ ...entry, type: 'ping', size: 0 });
    log.write({ ...entry, size: undefined });
    const [ping, passed] = written.map((text) => JSON.parse(text) as Record<string, unknown>);
    assert.deepEqual([ping?.['logger'], ping?.['size']], ['authentik.outpost.proxyv2.http', 0]);
    assert.equal(passed !== undefined && 'size' in passed, false);
    assert.equal(passed?.['logger'], 'authentik.outpost.proxyv2.application');
  });

  it('names the application of a domain where there is one', () => {
    const { log, written } = lines('info');
    log.write({ ...entry, application: 'wi"ki' });
    log.write(entry);
    const [one, other] = written.map((text) => JSON.parse(text) as Record<string, unknown>);
    assert.equal(one?.['application'], 'wi"ki');
    assert.equal(other !== undefined && 'application' in other, false);
  });

  it('writes nothing when the level is higher', () => {
    const { log, written } = lines('warn');
    log.write(entry);
    assert.deepEqual(written, []);
  });
});
