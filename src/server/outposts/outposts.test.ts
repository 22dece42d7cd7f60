import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { CodedError, InvalidInput } from '../../contract/errors.ts';
import { LINK_HEADERS } from '../../contract/extension.ts';
import type { IdentityEventBatch } from '../../contract/extension.ts';
import { INSTRUCTION, parseFrame } from '../../contract/messages.ts';
import type { Frame } from '../../contract/messages.ts';
import { createBinding } from '../access/bindings.ts';
import { EMBEDDED_TOKEN, testServer } from '../context.test-helper.ts';
import type { TestServer } from '../context.test-helper.ts';
import { createGroup } from '../directory/groups.ts';
import { createUser, updateUser, userById } from '../directory/users.ts';
import { deleteToken, setTokenKey, updateToken, viewTokenKey } from '../directory/tokens.ts';
import { readCursor } from '../events/identity-log.ts';
import { configureProvider } from '../proxy-provider/providers.ts';
import { authenticateBearer } from './authenticate.ts';
import { defaultConfig } from './config.ts';
import { embeddedOutpost } from './embedded.ts';
import { createOutpost, deleteOutpost, tokenIdentifier, updateOutpost } from './outposts.ts';
import { refreshSession } from './session-refresh.ts';
import { signOut } from './sign-out.ts';
import { outpostUpgrades } from './upgrade.ts';

const CREDENTIAL = 'boot-credential';
const INTERNAL = 'internal-credential';

/** A listening server with one outpost `edge` that serves the provider `wiki`. */
async function scene() {
  const server = await testServer();
  const { ctx } = server;
  const { provider, application } = await server.protect('wiki');
  const outpost = await ctx.change((tx) =>
    createOutpost(tx, { name: 'edge', type: 'proxy', providers: [provider.id], config: defaultConfig('', 'info') }),
  );
  const key = await ctx.change((tx) => viewTokenKey(tx, tokenIdentifier(outpost.uuid)));
  const http = createServer();
  http.on('upgrade', outpostUpgrades(ctx, { link: CREDENTIAL, internal: INTERNAL }));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  const connect = (token = key, options: { credential?: string; uuid?: string; internal?: boolean } = {}) =>
    new Link(`ws://127.0.0.1:${port}/ws/outpost/${options.uuid ?? outpost.uuid}/?instance_uuid=i&attempt=1`, {
      authorization: `Bearer ${token}`,
      [LINK_HEADERS.credential]: options.credential ?? CREDENTIAL,
      ...(options.internal ? { [LINK_HEADERS.internal]: INTERNAL } : { [LINK_HEADERS.peer]: '192.0.2.1' }),
    });
  const dispose = async () => {
    await server[Symbol.asyncDispose]();
    http.closeAllConnections();
    http.close();
  };
  return { ctx, provider, application, outpost, key, connect, server, [Symbol.asyncDispose]: dispose };
}

/** A test outpost: frames in order, waited for one by one. */
class Link {
  readonly socket: WebSocket;
  readonly #frames: Frame[] = [];
  #wake: () => void = () => undefined;

  constructor(url: string, headers: Record<string, string>) {
    this.socket = new WebSocket(url, { headers });
    this.socket.on('error', () => undefined);
    this.socket.on('message', (data: Buffer) => {
      const frame = parseFrame(data.toString());
      if (frame) this.#frames.push(frame);
      this.#wake();
    });
  }

  async open(): Promise<this> {
    await once(this.socket, 'open');
    return this;
  }

  /** @returns HTTP status of a refused handshake */
  async refused(): Promise<number | undefined> {
    const [, response] = (await once(this.socket, 'unexpected-response')) as [unknown, { statusCode?: number }];
    this.socket.terminate();
    return response.statusCode;
  }

  hello(args: object): void {
    this.socket.send(JSON.stringify({ instruction: INSTRUCTION.HELLO, args }));
  }

  /** next frame that is no ACK */
  async next(): Promise<Frame> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
      else if (frame.instruction !== INSTRUCTION.ACK) return frame;
    }
  }

  /** next batch; before its HELLO is read an outpost gets the published instructions, which our own takes too */
  async batch(): Promise<IdentityEventBatch> {
    let frame = await this.next();
    while (frame.instruction !== INSTRUCTION.IDENTITY_EVENTS) frame = await this.next();
    return frame.args as unknown as IdentityEventBatch;
  }
}

async function signedIn(server: TestServer) {
  const { ctx } = server;
  return ctx.change(async (tx) => {
    const user = await createUser(tx, { username: 'eve' });
    const auth = { auth_method: 'password', amr: ['pwd'] };
    return { user, ...(await ctx.sessions.create(tx, { userId: user.id, ip: '', userAgent: '', auth })) };
  });
}

describe('outposts', () => {
  it('come with a service account and a token that does not expire', async () => {
    await using s = await scene();
    const caller = await authenticateBearer(s.ctx, s.key, false);
    assert.equal(caller?.outpost?.uuid, s.outpost.uuid);
    assert.equal(caller?.user.username, `ak-outpost-${s.outpost.uuid.replaceAll('-', '')}`);
    assert.equal(caller?.user.type, 'internal_service_account');
    await s.ctx.change((tx) => deleteOutpost(tx, s.outpost.uuid));
    assert.equal(await authenticateBearer(s.ctx, s.key, false), undefined);
    assert.equal(await userById(s.ctx.db, caller.user.id), undefined);
  });

  it('keep their config as it came and check what is known of it', async () => {
    await using s = await scene();
    const config = {
      z: 1,
      authentik_host: 'https://auth.example.test/',
      refresh_interval: 'minutes=2',
      own: { a: [1] },
    };
    const saved = await s.ctx.change((tx) => updateOutpost(tx, s.outpost.uuid, { config }));
    assert.equal(saved.config, JSON.stringify(config));
    assert.equal(saved.refresh_interval_s, 120);
    const wrong = {
      authentik_host: 'javascript:x',
      refresh_interval: 'soon',
      docker_map_ports: 'yes',
      log_level: 'loud',
    };
    const refused = s.ctx.change((tx) =>
      updateOutpost(tx, s.outpost.uuid, { config: wrong, providers: [], type: 'ldap' }),
    );
    await assert.rejects(refused, (error) => {
      assert.ok(error instanceof InvalidInput);
      assert.deepEqual(Object.keys(error.fields).sort(), ['config', 'providers', 'type']);
      return error.fields['config']?.length === 4;
    });
  });

  it('of which the embedded one can be empty, but neither renamed nor deleted', async () => {
    await using s = await scene();
    const embedded = await embeddedOutpost(s.ctx.db);
    assert.ok(embedded);
    await assert.rejects(
      s.ctx.change((tx) => updateOutpost(tx, embedded.uuid, { name: 'x' })),
      InvalidInput,
    );
    await assert.rejects(
      s.ctx.change((tx) => deleteOutpost(tx, embedded.uuid)),
      InvalidInput,
    );
    await s.ctx.change((tx) => updateOutpost(tx, embedded.uuid, { providers: [] }));
  });

  it('boot secrets count on internal calls only', async () => {
    await using s = await scene();
    assert.equal((await authenticateBearer(s.ctx, EMBEDDED_TOKEN, true))?.outpost?.name, 'authentik Embedded Outpost');
    for (const key of [EMBEDDED_TOKEN, '', 'x']) assert.equal(await authenticateBearer(s.ctx, key, false), undefined);
    assert.equal(await authenticateBearer(s.ctx, '', true), undefined);
  });
});

describe('control link', () => {
  it('refuses wrong credential, wrong token, other outposts and other paths before the handshake', async () => {
    await using s = await scene();
    assert.equal(await s.connect(s.key, { credential: 'wrong' }).refused(), 403);
    assert.equal(await s.connect('wrong').refused(), 403);
    assert.equal(await s.connect(EMBEDDED_TOKEN).refused(), 403);
    const embedded = await embeddedOutpost(s.ctx.db);
    assert.equal(await s.connect(s.key, { uuid: embedded?.uuid ?? '' }).refused(), 403);
    assert.equal(await s.connect(s.key, { uuid: 'nonsense' }).refused(), 404);
    const own = await s.connect(EMBEDDED_TOKEN, { uuid: embedded?.uuid ?? '', internal: true }).open();
    own.socket.terminate();
  });

  it('answers HELLO, shows health, and sends an official outpost both published session ends', async () => {
    await using s = await scene();
    const link = await s.connect().open();
    assert.deepEqual(s.ctx.hub.health(s.outpost.uuid), []);
    link.hello({ uuid: 'instance', version: '2026.4.1', hostname: 'h', opensslEnabled: true, golangVersion: 'go1' });
    await once(link.socket, 'message'); // ACK
    const [health] = s.ctx.hub.health(s.outpost.uuid);
    assert.deepEqual([health?.uid, health?.version_outdated, health?.hostname], ['instance', true, 'h']);
    const { session } = await signedIn(s.server);
    await s.ctx.change((tx) => s.ctx.sessions.end(tx, session.sid));
    const [end, specific] = [await link.next(), await link.next()];
    assert.deepEqual(end, { instruction: 4, args: { type: 'event.session.end', session_id: session.sid } });
    assert.deepEqual(specific, {
      instruction: 3,
      args: { type: 'event.provider.specific', sub_type: 'logout', session_id: session.sid },
    });
  });

  it('triggers one update for many changes, only at the outposts concerned', async () => {
    await using s = await scene();
    const link = await s.connect().open();
    await s.server.protect('other');
    await s.ctx.change((tx) => configureProvider(tx, s.provider.id, { host: 'original' }));
    await s.ctx.change((tx) => configureProvider(tx, s.provider.id, { host: 'backend' }));
    assert.equal((await link.next()).instruction, INSTRUCTION.TRIGGER_UPDATE);
    const { session } = await signedIn(s.server);
    await s.ctx.change((tx) => s.ctx.sessions.end(tx, session.sid));
    assert.equal((await link.next()).instruction, INSTRUCTION.SESSION_END, 'no second update came in between');
  });

  it('gives our own outpost the log: whole for an unknown position, the rest for a known one, then live', async () => {
    await using s = await scene();
    const { user, session } = await signedIn(s.server);
    await s.ctx.change((tx) => s.ctx.sessions.end(tx, session.sid));
    const { epoch, n } = await readCursor(s.ctx.db);
    const link = await s.connect().open();
    link.hello({ gatehouse: { extension: '1', cursor: { epoch: '', n: 0 } } });
    const all = await link.batch();
    assert.deepEqual([all.epoch, all.snapshot, all.n], [epoch, true, n]);
    assert.ok(all.events.some((event) => event.kind === 'session-ended' && event.sid === session.sid));
    await s.ctx.change((tx) => tx.identity({ kind: 'user-changed', uid: user.uid, effect: 'deny' }));
    const live = await link.batch();
    assert.deepEqual([live.snapshot, live.n, live.events.map((event) => event.kind)], [false, n + 1, ['user-changed']]);
    link.socket.terminate();
    await s.ctx.change((tx) => tx.identity({ kind: 'everybody', effect: 'refresh' }));
    const again = await s.connect().open();
    again.hello({ gatehouse: { extension: '1', cursor: { epoch, n: n + 1 } } });
    const rest = await again.batch();
    assert.deepEqual([rest.snapshot, rest.n, rest.events.map((event) => event.kind)], [false, n + 2, ['everybody']]);
  });

  it('loses no event that is committed while an outpost catches up', async () => {
    await using s = await scene();
    const links = await Promise.all(Array.from({ length: 5 }, () => s.connect().open()));
    const start = (await readCursor(s.ctx.db)).n;
    for (const link of links) link.hello({ gatehouse: { extension: '1', cursor: { epoch: 'old', n: 0 } } });
    for (let i = 0; i < 40; i++) await s.ctx.change((tx) => tx.identity({ kind: 'session-ended', sid: `${i}` }));
    for (const link of links) {
      const seen: number[] = [];
      while (seen.at(-1) !== start + 40) {
        const batch = await link.batch();
        seen.push(...batch.events.map((event) => event.n).filter((n) => n > start));
      }
      assert.deepEqual(
        seen,
        Array.from({ length: 40 }, (_, i) => start + 1 + i),
        'each once, in order',
      );
    }
  });

  it('gives the whole log for a position it never gave, and nothing changes for anybody else', async () => {
    await using s = await scene();
    const before = await readCursor(s.ctx.db);
    const honest = await s.connect().open();
    honest.hello({ gatehouse: { extension: '1', cursor: before } });
    assert.equal((await honest.batch()).snapshot, false);
    for (const n of [before.n + 1, 1e9]) {
      const link = await s.connect().open();
      link.hello({ gatehouse: { extension: '1', cursor: { epoch: before.epoch, n } } });
      const batch = await link.batch();
      assert.deepEqual([batch.epoch, batch.snapshot, batch.n], [before.epoch, true, before.n]);
      assert.deepEqual(await readCursor(s.ctx.db), before);
      link.socket.terminate();
    }
    await s.ctx.change((tx) => tx.identity({ kind: 'session-ended', sid: 'a' }));
    const live = await honest.batch();
    assert.deepEqual([live.epoch, live.snapshot, live.n], [before.epoch, false, before.n + 1]);
  });

  it('lists an instance once while two lines of it are open, as it was heard last', async () => {
    await using s = await scene();
    const heard = async (hostname: string) => {
      const link = await s.connect().open();
      link.hello({ uuid: 'the instance', hostname, gatehouse: { extension: '1', cursor: { epoch: '', n: 0 } } });
      await link.batch();
      return link;
    };
    const [old, late] = [await heard('before'), await heard('after')];
    const names = () => s.ctx.hub.health(s.outpost.uuid).map(({ uid, hostname }) => [uid, hostname]);
    assert.deepEqual(names(), [['the instance', 'after']]);
    const closed = once(late.socket, 'close');
    late.socket.close();
    await closed;
    while (names()[0]?.[1] !== 'before') await new Promise((resolve) => setImmediate(resolve));
    old.socket.terminate();
  });

  it('ends with a flood of HELLOs', async () => {
    await using s = await scene();
    const link = await s.connect().open();
    const closed = once(link.socket, 'close', { signal: AbortSignal.timeout(10_000) });
    for (let i = 0; i < 5000; i++) link.hello({});
    const [code, why] = (await closed) as [number, Buffer];
    assert.deepEqual([code, String(why)], [1008, 'too many HELLOs']);
  });

  it('ends when the token is changed, and when the outpost is deleted', async () => {
    await using s = await scene();
    const link = await s.connect().open();
    const closed = once(link.socket, 'close');
    await s.ctx.change((tx) => setTokenKey(tx, tokenIdentifier(s.outpost.uuid), 'another-key'));
    assert.equal((await closed)[0], 1008, 'at once, without a HELLO');
    const second = await s.connect('another-key').open();
    await s.ctx.change((tx) => deleteOutpost(tx, s.outpost.uuid));
    assert.equal((await once(second.socket, 'close'))[0], 1008);
  });

  it('ends with the account, and when the token is given to another or shortened', async () => {
    for (const end of [
      (s) => s.ctx.change((tx) => updateUser(tx, s.outpost.user_id, { is_active: false })),
      (s) => s.ctx.change((tx) => updateToken(tx, tokenIdentifier(s.outpost.uuid), { expiring: true, expires: 1 })),
      (s) => s.ctx.change((tx) => updateToken(tx, tokenIdentifier(s.outpost.uuid), { intent: 'app_password' })),
      (s) => s.ctx.change((tx) => deleteToken(tx, tokenIdentifier(s.outpost.uuid))),
      async (s) => {
        const { user } = await signedIn(s.server);
        await s.ctx.change((tx) => updateToken(tx, tokenIdentifier(s.outpost.uuid), { user: user.id }));
      },
    ] as ((s: Awaited<ReturnType<typeof scene>>) => Promise<unknown>)[]) {
      await using s = await scene();
      const link = await s.connect().open();
      const closed = once(link.socket, 'close', { signal: AbortSignal.timeout(10_000) });
      await end(s);
      assert.equal((await closed)[0], 1008, String(end));
    }
  });

  it('ends when the token runs out although the outpost never says HELLO again', async (t) => {
    const soon = { signal: AbortSignal.timeout(10_000) };
    t.mock.timers.enable({ apis: ['setInterval'] });
    await using s = await scene();
    const link = await s.connect().open();
    const pinged = once(link.socket, 'ping', soon);
    t.mock.timers.tick(10_000);
    await pinged;
    assert.equal(link.socket.readyState, WebSocket.OPEN);
    const over = { expiring: 1, expires: Date.now() };
    await s.ctx.db.updateTable('token').set(over).where('user_id', '=', s.outpost.user_id).execute();
    const closed = once(link.socket, 'close', soon);
    t.mock.timers.tick(10_000);
    assert.equal((await closed)[0], 1008);
  });
});

describe('refreshSession', () => {
  it('gives a token with the position of the log, says ended and denied, and serves own providers only', async () => {
    await using s = await scene();
    const { user, session } = await signedIn(s.server);
    const request = { provider: s.provider.id, sid: session.sid, uid: user.uid };
    await assert.rejects(refreshSession(s.ctx, s.outpost, request), (e) => e instanceof CodedError && e.status === 503);
    s.ctx.tokens.issue = async (asked) => ({
      token: `${asked.user.username} ${asked.sid} ${asked.extension}`,
      expiresIn: 1,
    });
    assert.deepEqual(await refreshSession(s.ctx, s.outpost, request), {
      result: 'token',
      access_token: `eve ${session.sid} true`,
      gatehouse: { cursor: await readCursor(s.ctx.db), headers: [], rule_groups: [] },
    });
    assert.deepEqual(await refreshSession(s.ctx, s.outpost, { ...request, uid: 'other' }), { result: 'ended' });
    const embedded = await embeddedOutpost(s.ctx.db);
    assert.ok(embedded);
    await assert.rejects(refreshSession(s.ctx, embedded, request), (e) => e instanceof CodedError && e.status === 403);
    await s.ctx.change(async (tx) => {
      const group = await createGroup(tx, { name: 'g' });
      await createBinding(tx, { target: s.application.uuid, group: group.uuid, order: 0 });
    });
    assert.deepEqual(await refreshSession(s.ctx, s.outpost, request), { result: 'denied', reason: 'group-required' });
    await s.ctx.change((tx) => s.ctx.sessions.end(tx, session.sid));
    assert.deepEqual(await refreshSession(s.ctx, s.outpost, request), { result: 'ended' });
  });
});

describe('signOut', () => {
  it('ends everything, or this application only, and is no error the second time', async () => {
    await using s = await scene();
    const { user, session } = await signedIn(s.server);
    const report = { provider: s.provider.id, sid: session.sid, uid: user.uid };
    const row = {
      model: 'AccessToken',
      payload: '',
      grant_id: null,
      session_sid: session.sid,
      user_id: user.id,
      consumed: null,
      expires: null,
    };
    const artefacts = async () =>
      (await s.ctx.db.selectFrom('oidc_artefact').select('id').execute()).map((row) => row.id);
    await s.ctx.db
      .insertInto('oidc_artefact')
      .values({ ...row, id: 'here', client_id: s.provider.client_id })
      .execute();
    await s.ctx.db
      .insertInto('oidc_artefact')
      .values({ ...row, id: 'there', client_id: 'other' })
      .execute();
    await s.ctx.change((tx) => configureProvider(tx, s.provider.id, { sign_out: 'application' }));
    await signOut(s.ctx, s.outpost, report);
    assert.ok(await s.ctx.sessions.findBySid(session.sid));
    assert.deepEqual(await artefacts(), ['there']);
    await s.ctx.change((tx) => configureProvider(tx, s.provider.id, { sign_out: 'everything' }));
    await signOut(s.ctx, s.outpost, { ...report, uid: 'somebody else' });
    assert.ok(await s.ctx.sessions.findBySid(session.sid));
    await signOut(s.ctx, s.outpost, report);
    await signOut(s.ctx, s.outpost, report);
    assert.equal(await s.ctx.sessions.findBySid(session.sid), undefined);
    assert.deepEqual(await artefacts(), []);
    const logouts = await s.ctx.db.selectFrom('event').select('uuid').where('action', '=', 'logout').execute();
    assert.equal(logouts.length, 1);
  });
});
