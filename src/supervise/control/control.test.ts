import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import { pino } from 'pino';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { eventually } from '../../../test/harness/wait.ts';
import { CONFIGURATION_PATH, EXTENSION_HEADER } from '../../contract/extension.ts';
import type { IdentityEventBatch } from '../../contract/extension.ts';
import type { BackChannelOptions } from '../messages.ts';
import { Backoff } from './backoff.ts';
import { Control } from './control.ts';
import type { ControlListener } from './control.ts';
import { LiveEvents, readBatch } from './live-events.ts';
import { fetchConfiguration } from './rest.ts';
import { until } from './until.test-helper.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'gatehouse-control-'));
after(() => rmSync(folder, { recursive: true }));
const log = pino({ level: 'silent' });

describe('Backoff', () => {
  it('doubles up to its limit, with jitter below', () => {
    const backoff = new Backoff(100, 1000);
    for (const step of [100, 200, 400, 800, 1000, 1000]) {
      const ms = backoff.next();
      assert.ok(ms >= step / 2 && ms <= step, `${ms} for ${step}`);
    }
    backoff.reset();
    assert.ok(backoff.next() <= 100);
  });
});

const event = (n: number, until = 1e15) => ({ n, until, kind: 'session-ended' as const, sid: `s${n}` });

describe('identity events', () => {
  it('adds batches, replaces by snapshots and other epochs, forgets what is over', () => {
    const live = new LiveEvents();
    assert.equal(live.snapshot(), undefined);
    live.apply({ epoch: 'a', snapshot: false, n: 2, events: [event(1), event(2, 50)] }, 40);
    live.apply({ epoch: 'a', snapshot: false, n: 3, events: [event(3)] }, 60);
    assert.deepEqual(live.snapshot(), { epoch: 'a', snapshot: true, former: [], n: 3, events: [event(1), event(3)] });
    live.apply({ epoch: 'a', snapshot: true, n: 5, events: [event(5)] }, 60);
    assert.deepEqual(live.snapshot()!.events, [event(5)]);
    live.apply({ epoch: 'b', snapshot: false, n: 1, events: [] }, 60);
    assert.deepEqual(live.cursor, { epoch: 'b', n: 1 });
    assert.deepEqual(live.snapshot()!.events, []);
  });

  it('keeps what it knows when a server that was started again goes on from there', () => {
    const live = new LiveEvents();
    live.apply({ epoch: 'a', snapshot: false, n: 2, events: [event(2)] }, 40);
    const former = [{ epoch: 'a', n: 3 }];
    live.apply({ epoch: 'b', snapshot: false, former, n: 4, events: [event(3), event(4)] }, 60);
    live.apply({ epoch: 'b', snapshot: false, n: 5, events: [] }, 60);
    assert.deepEqual(live.snapshot(), {
      epoch: 'b',
      snapshot: true,
      former,
      n: 5,
      events: [2, 3, 4].map((n) => event(n)),
    });
    live.apply({ epoch: 'c', snapshot: false, former: [{ epoch: 'x', n: 9 }], n: 1, events: [] }, 60);
    assert.deepEqual(live.snapshot()!.events, []);
  });

  it('reads batches, and takes an event it does not know for a reason to ask again', () => {
    const batch = { epoch: 'a', snapshot: false, n: 2, events: [event(1), { n: 2, until: 9, kind: 'new-thing' }] };
    assert.deepEqual(readBatch(batch)!.events[1], { n: 2, until: 9, kind: 'everybody', effect: 'refresh' });
    for (const bad of [{}, { epoch: '', n: 1, events: [] }, { epoch: 'a', n: 'x', events: [] }, { epoch: 'a', n: 1 }]) {
      assert.equal(readBatch(bad), undefined);
    }
    assert.equal(readBatch({ epoch: 'a', n: 1, events: [{ kind: 'everybody' }] }), undefined);
    const former = [{ epoch: 'z', n: 7 }, { epoch: 'y' }, 'x'];
    assert.deepEqual(readBatch({ ...batch, former })!.former, [{ epoch: 'z', n: 7 }]);
    assert.deepEqual(readBatch({ ...batch, former: 'all' })!.former, undefined);
  });
});

const OIDC = Object.fromEntries(
  ['issuer', 'authorization_endpoint', 'token_endpoint', 'end_session_endpoint', 'jwks_uri'].map((k) => [
    k,
    'http://x/',
  ]),
);
const provider = (pk: number) => ({
  pk,
  name: `p${pk}`,
  external_host: 'http://a.test',
  client_id: 'c',
  client_secret: 's',
  cookie_secret: 'k',
  assigned_application_slug: 'a',
  assigned_application_name: 'A',
  oidc_configuration: OIDC,
});
const OUTPOST = { pk: 'op-1', name: 'out', refresh_interval_s: 300, config: {}, managed: null };
const page = (results: unknown[], next = 0) => ({ pagination: { next }, results });

describe('fetchConfiguration', () => {
  const fetcher = (answers: Record<string, unknown>, asked: string[] = []) =>
    (async (address: string) => {
      asked.push(address);
      const answer = answers[address];
      return answer === undefined ? new Response('{}', { status: 500 }) : Response.json(answer);
    }) as typeof fetch;
  const [first, second] = [1, 2].map((n) => `api/v3/outposts/proxy/?page=${n}&page_size=100`) as [string, string];
  const instances = { 'api/v3/outposts/instances/': page([OUTPOST]) };

  it('reads all pages and stops at a page that points back', async () => {
    const asked: string[] = [];
    const answers = { ...instances, [first]: page([provider(1)], 2), [second]: page([provider(2)], 2) };
    const { providers } = await fetchConfiguration(fetcher(answers, asked), [], () => assert.fail());
    assert.deepEqual(
      providers.map(({ pk }) => pk),
      [1, 2],
    );
    assert.equal(asked.length, 3);
  });

  it('fails as a whole when a page fails or there is no outpost', async () => {
    await assert.rejects(
      fetchConfiguration(fetcher({ ...instances, [first]: page([], 2) }), [], () => {}),
      /500/,
    );
    const none = fetcher({ 'api/v3/outposts/instances/': page([]) });
    await assert.rejects(
      fetchConfiguration(none, [], () => {}),
      { code: 'no-outpost' },
    );
  });

  it('keeps a provider as it was when its new form cannot be read', async () => {
    const good = await fetchConfiguration(fetcher({ ...instances, [first]: page([provider(1)]) }), [], () => {});
    const problems: string[] = [];
    const bad = fetcher({ ...instances, [first]: page([{ ...provider(1), client_id: 7 }, { pk: 9 }]) });
    const { providers } = await fetchConfiguration(bad, good.providers, (p) => problems.push(p));
    assert.deepEqual(providers, good.providers);
    assert.equal(problems.length, 2);
  });
});

describe('Control', () => {
  const running: (() => unknown)[] = [];
  afterEach(async () => {
    for (const stop of running.splice(0).toReversed()) await stop();
  });

  /** An identity server, as far as outposts see it; ours unless said. */
  async function server(port = 0, ours = true) {
    const state = {
      names: ['p1'],
      refuses: false,
      upgrades: true,
      requests: [] as { url: string; auth: string; extension: string; body: string }[],
    };
    const sockets: WebSocket[] = [];
    const hellos: Record<string, unknown>[] = [];
    const http = createServer((req, res) => {
      let body = '';
      req
        .on('data', (d) => (body += d))
        .on('end', () => {
          const { authorization = '', 'x-gatehouse-extension': extension = '' } = req.headers;
          state.requests.push({ url: req.url!, auth: authorization, extension: String(extension), body });
          if (state.refuses) return res.writeHead(403).end('{}');
          res.setHeader('content-type', 'application/json');
          const providers = state.names.map((name, i) => ({ ...provider(i + 1), name }));
          if (req.url === '/api/v3/root/config/') {
            if (ours) res.setHeader(EXTENSION_HEADER, '1');
            res.end('{}');
          } else if (req.url!.startsWith(`/api/v3/${CONFIGURATION_PATH}`) && ours) {
            const rest = { whole: true, outpost: OUTPOST, managed_headers: [], removed: [], next: 0 };
            res.end(JSON.stringify({ ...rest, cursor: 'c', providers }));
          } else if (req.url!.startsWith('/api/v3/outposts/instances/')) res.end(JSON.stringify(page([OUTPOST])));
          else if (req.url!.startsWith('/api/v3/outposts/proxy/')) {
            res.end(JSON.stringify(page(providers)));
          } else res.writeHead(ours ? 200 : 404).end('{}');
          return undefined;
        });
    });
    const hub = new WebSocketServer({ server: http, verifyClient: () => state.upgrades && !state.refuses });
    hub.on('connection', (socket, req) => {
      sockets.push(socket);
      state.requests.push({ url: req.url!, auth: req.headers.authorization!, extension: '', body: '' });
      socket.on('message', (data) => hellos.push(JSON.parse(String(data as Buffer)) as Record<string, unknown>));
    });
    http.listen(port, '127.0.0.1');
    await once(http, 'listening');
    const close = async () => {
      for (const socket of sockets) socket.terminate();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    };
    running.push(close);
    return { state, sockets, hellos, close, port: (http.address() as AddressInfo).port };
  }

  function control(port: number, name: string) {
    const seen = {
      configurations: [] as string[],
      changes: [] as Parameters<ControlListener['onConfiguration']>[1][],
      events: [] as IdentityEventBatch[],
      ended: [] as string[],
      link: [] as boolean[],
      askable: [] as boolean[],
      unfollowed: [] as (number | undefined)[],
      waiting: [] as string[],
    };
    const listener: ControlListener = {
      onConfiguration: ({ providers }, change) => {
        seen.configurations.push(providers.map((p) => p.name).join());
        seen.changes.push(change);
      },
      onEvents: (batch) => void seen.events.push(batch),
      onSessionEnd: ({ sid }) => void seen.ended.push(sid),
      onLink: (up) => void seen.link.push(up),
      onAskable: (askable) => void seen.askable.push(askable),
      onUnfollowed: (at) => void seen.unfollowed.push(at),
      onWaiting: (sentence) => void seen.waiting.push(sentence),
    };
    const options: BackChannelOptions = { base: `http://127.0.0.1:${port}/`, token: 'tok', verifyTls: true };
    const made = new Control({
      server: options,
      dataFolder: path.join(folder, name),
      listener,
      log,
      certificates: true,
      times: { tryMs: 100, askMs: 200 },
    });
    running.push(() => made.close());
    return { made, seen };
  }

  it('fetches, says hello, follows updates and events, and tells of sign-outs', async () => {
    const { state, sockets, hellos, port } = await server();
    const { made, seen } = control(port, 'follow');
    await made.load();
    made.start();
    await until(() => seen.link.length > 0 && hellos.length > 0, 'link');
    assert.deepEqual(seen.configurations[0], 'p1');
    assert.equal(state.requests[0]!.auth, 'Bearer tok');
    assert.equal(state.requests[0]!.extension, '1');
    const ws = state.requests.find(({ url }) => url.startsWith('/ws/outpost/op-1/'))!;
    assert.equal(ws.auth, 'Bearer tok');
    assert.match(ws.url, /^\/ws\/outpost\/op-1\/\?attempt=0&instance_uuid=[0-9a-f-]{36}$/);
    const args = hellos[0]!['args'] as Record<string, unknown>;
    assert.equal(hellos[0]!['instruction'], 1);
    assert.deepEqual(args['gatehouse'], { extension: '1', cursor: { epoch: '', n: 0 } });
    assert.equal(args['uuid'], made.instance);

    state.names = ['p2'];
    sockets[0]!.send('{"instruction":2}');
    await until(() => seen.configurations.at(-1) === 'p2', 'update');
    sockets[0]!.send(
      JSON.stringify({ instruction: 1001, args: { epoch: 'e', snapshot: true, n: 3, events: [event(3)] } }),
    );
    sockets[0]!.send(JSON.stringify({ instruction: 4, args: { type: 'event.session.end', session_id: 'gone' } }));
    sockets[0]!.send(JSON.stringify({ instruction: 3, args: { sub_type: 'logout', session_id: 'gone3' } }));
    sockets[0]!.send(JSON.stringify({ instruction: 4, args: { session_id: '' } }));
    sockets[0]!.send('not json');
    await until(() => seen.ended.length === 2, 'ends');
    assert.deepEqual(seen.ended, ['gone', 'gone3']);
    assert.deepEqual(made.events, { epoch: 'e', snapshot: true, former: [], n: 3, events: [event(3)] });

    made.signOut({ provider: 1, sid: 's', uid: 'u' });
    await until(
      () =>
        state.requests.some(({ url, body }) => url === '/api/v3/gatehouse/outposts/sign_out/' && body.includes('"s"')),
      'told',
    );
  });

  it('speaks with any other server as published', async () => {
    const { state, sockets, hellos, port } = await server(0, false);
    const { made, seen } = control(port, 'published');
    made.start();
    await until(() => seen.link.length > 0 && hellos.length > 0, 'link');
    state.names = ['p1', 'p2'];
    sockets[0]!.send('{"instruction":2}');
    await until(() => seen.configurations.at(-1) === 'p1,p2', 'update');
    const published = ['golangVersion', 'opensslEnabled', 'opensslVersion', 'fipsEnabled'];
    const keys = ['version', 'buildHash', 'uuid', 'hostname', ...published];
    assert.deepEqual(Object.keys(hellos[0]!['args'] as object).sort(), keys.sort());
    const asked = new Set(state.requests.map(({ url }) => url.split('?')[0]));
    const calls = ['root/config/', 'outposts/instances/', 'outposts/proxy/'].map((call) => `/api/v3/${call}`);
    assert.deepEqual([...asked], [...calls, '/ws/outpost/op-1/']);
  });

  it('tells what is new, nothing when nothing is, and everything at first', async () => {
    const { state, port } = await server(0, false);
    const { made, seen } = control(port, 'news');
    await made.refresh();
    await made.refresh();
    state.names = ['p2'];
    await made.refresh();
    await made.reload();
    const changes = seen.changes.filter((change) => change !== undefined);
    assert.equal(changes[0], 'everything');
    assert.deepEqual(
      changes.slice(1).map((change) => change !== 'everything' && change.providers.map(({ name }) => name)),
      [['p2']],
    );
  });

  it('comes back by itself, continues from its cursor, and looks for what it missed', async () => {
    const one = await server();
    const { made, seen } = control(one.port, 'back');
    made.start();
    await until(() => seen.link.length === 1, 'up');
    one.sockets[0]!.send(JSON.stringify({ instruction: 1001, args: { epoch: 'e', snapshot: true, n: 3, events: [] } }));
    await until(() => seen.events.length === 1, 'events');
    await one.close();
    await until(() => seen.link.at(-1) === false, 'down');
    made.signOut({ provider: 1, sid: 'while-away', uid: 'u' });
    const two = await server(one.port);
    two.state.names = ['p9'];
    await until(() => seen.link.at(-1) === true && seen.configurations.at(-1) === 'p9', 'up again');
    await until(() => two.hellos.length > 0, 'hello');
    const args = two.hellos[0]!['args'] as { gatehouse: { cursor: unknown } };
    assert.deepEqual(args.gatehouse.cursor, { epoch: 'e', n: 3 });
    await until(
      () => two.state.requests.some(({ body }) => body.includes('while-away')),
      'told what happened meanwhile',
    );
  });

  const snapshot = JSON.stringify({ instruction: 1001, args: { epoch: 'e', snapshot: true, n: 3, events: [] } });
  const before = (seen: { unfollowed: (number | undefined)[] }) => seen.unfollowed.at(-1) ?? 0;

  it('asks about sessions while calls are answered and no events come, until they do', async () => {
    const { state, sockets, port } = await server();
    state.upgrades = false;
    const { made, seen } = control(port, 'no-upgrade');
    made.start();
    await until(() => seen.unfollowed.length > 2, 'again and again');
    assert.ok(before(seen) > seen.unfollowed[0]!);
    assert.deepEqual([made.reach, made.askable, seen.askable], ['answers', true, [true]]);
    const again = seen.waiting.filter((sentence, i) => sentence === seen.waiting[i - 1]);
    assert.deepEqual(again, [], 'told once for each reason');
    state.upgrades = true;
    await until(() => seen.link.at(-1) === true && sockets.length > 0, 'link');
    for (const socket of sockets) socket.send(snapshot);
    await until(() => made.askedSince === undefined, 'events');
    assert.equal(seen.unfollowed.at(-1), undefined);
  });

  it('asks about sessions at once when its token is refused, and never while the server is away', async () => {
    const { state, sockets, port, close } = await server();
    const { made, seen } = control(port, 'refused');
    made.start();
    await until(() => seen.link.at(-1) === true && sockets.length > 0, 'link');
    sockets[0]!.send(snapshot);
    await until(() => seen.events.length === 1 && made.askedSince === undefined, 'events');
    state.refuses = true;
    sockets[0]!.terminate();
    await until(() => made.reach === 'refused', 'refused');
    assert.ok(made.askedSince! > 0);
    assert.equal(before(seen), made.askedSince);
    assert.deepEqual([made.askable, seen.askable.at(-1)], [false, false]);
    state.refuses = false;
    await until(() => made.up, 'taken again');
    for (const socket of sockets) socket.send(snapshot);
    await until(() => made.askedSince === undefined, 'events again');
    const told = seen.unfollowed.length;
    await close();
    await until(() => made.reach === 'away' && seen.waiting.length > 0, 'away');
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.equal(seen.unfollowed.length, told);
    assert.equal(made.reach, 'away');
  });

  it('starts from its last good copy when no server is there, but never from that of another server', async () => {
    const { state, sockets, port, close } = await server();
    const { made, seen } = control(port, 'copy');
    made.start();
    await until(() => seen.link.length === 1, 'up');
    state.names = ['kept'];
    sockets[0]!.send(
      JSON.stringify({ instruction: 1001, args: { epoch: 'e', snapshot: true, n: 3, events: [event(3)] } }),
    );
    sockets[0]!.send('{"instruction":2}');
    await until(() => seen.configurations.at(-1) === 'kept', 'configuration');
    // known first, written a moment later
    const { value: again } = await eventually('the copy is written', 30_000, async () => {
      const another = control(port, 'copy');
      await another.made.load();
      assert.deepEqual(another.seen.configurations, ['kept']);
      assert.equal(another.seen.events[0]?.events.length, 1);
      return another;
    });
    await made.close();
    await close();
    assert.deepEqual(again.seen.events[0]!.events, [event(3)]);
    const other = control(port + 1, 'copy');
    await other.made.load();
    assert.deepEqual(other.seen.configurations, []);
  });
});
