import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { Client } from 'undici';
import { LINK_HEADERS } from '../contract/extension.ts';
import type { FromControlPlane } from '../contract/process.ts';
import { testSettings } from '../settings/settings.test-helper.ts';
import { startControlPlane } from './control-plane.ts';

const root = mkdtempSync(join(tmpdir(), 'gatehouse-control-'));
after(() => rmSync(root, { recursive: true, force: true }));

const CREDENTIAL = 'boot-credential';
const INTERNAL = 'internal-credential';
const start = (name: string, over: Parameters<typeof testSettings>[1] = {}) => ({
  settings: testSettings(join(root, name), over),
  socketPath: join(root, `${name}.sock`),
  linkCredential: CREDENTIAL,
  internalCredential: INTERNAL,
  outpostToken: 'outpost-token',
  httpPort: 9000,
});

/** One request over the socket. */
async function ask(socketPath: string, path: string, headers: Record<string, string>) {
  const client = new Client('http://control', { socketPath });
  try {
    const { statusCode, headers: answered, body } = await client.request({ method: 'GET', path, headers });
    return {
      status: statusCode,
      type: String(answered['content-type'] ?? ''),
      text: await body.text(),
      headers: answered,
    };
  } finally {
    await client.close();
  }
}

describe('the control plane', () => {
  it('listens on a private socket and speaks to holders of the credential only', async () => {
    const options = start('a', { webPath: '/auth/' });
    const plane = await startControlPlane({ ...options, log: pino({ level: 'silent' }) });
    try {
      assert.ok(plane.setupToken);
      assert.equal(statSync(options.socketPath).mode & 0o777, 0o600);
      const get = (path: string, headers: Record<string, string> = {}) =>
        ask(options.socketPath, path, { [LINK_HEADERS.credential]: CREDENTIAL, ...headers });
      const visitor = {
        [LINK_HEADERS.peer]: '192.0.2.1',
        [LINK_HEADERS.scheme]: 'https',
        [LINK_HEADERS.host]: 'auth.example.test',
        [LINK_HEADERS.requestId]: 'request-1',
      };
      for (const credential of ['', 'wrong', `${CREDENTIAL}x`]) {
        const refused = await get('/auth/-/health/live/', { [LINK_HEADERS.credential]: credential });
        assert.deepEqual([refused.status, refused.type], [403, 'text/plain']);
      }
      const own = { [LINK_HEADERS.internal]: INTERNAL };
      assert.equal((await get('/auth/-/health/live/', own)).status, 200);
      assert.equal((await get('/auth/-/health/ready/', own)).status, 200);
      assert.equal((await get('/auth/-/health/live', own)).status, 404, 'a slash is part of the address');
      const page = await get('/auth/no/such/page', visitor);
      assert.deepEqual([page.status, page.type], [404, 'text/html; charset=utf-8']);
      assert.match(page.text, /request-1/);
      const json = await get('/auth/api/v3/no/such/', visitor);
      assert.deepEqual([json.status, json.type.split(';')[0]], [404, 'application/json']);
      assert.deepEqual(Object.keys(JSON.parse(json.text) as object), ['detail']);
      assert.equal((await get('/', visitor)).headers.location, '/auth/');
      assert.equal((await get('/auth/%', visitor)).status, 400);
      const outside = await get('/auth/api/v3/outposts/instances/', {
        ...visitor,
        authorization: 'Bearer outpost-token',
      });
      assert.equal(outside.status, 403, 'boot secrets count on internal calls only');
      const inside = (headers: Record<string, string>) =>
        get('/auth/api/v3/outposts/instances/', { ...headers, authorization: 'Bearer outpost-token' });
      assert.equal((await inside(own)).status, 200);
      for (const headers of [
        {},
        { [LINK_HEADERS.peer]: '' },
        { [LINK_HEADERS.internal]: 'wrong' },
        { ...visitor, ...own },
      ]) {
        const refused = await inside(headers);
        assert.deepEqual([refused.status, refused.type], [403, 'text/plain'], JSON.stringify(headers));
      }
    } finally {
      await plane.close();
    }
  });

  it('as a process: says ready, serves, and ends with its channel', async () => {
    const child = fork(fileURLToPath(new URL('control-plane-main.ts', import.meta.url)), [], { silent: true });
    const exited = once(child, 'exit');
    const options = start('b');
    child.send({ kind: 'start', ...options });
    const [message] = (await once(child, 'message')) as [FromControlPlane];
    assert.equal(message.kind, 'ready');
    const headers = { [LINK_HEADERS.credential]: CREDENTIAL, [LINK_HEADERS.internal]: INTERNAL };
    assert.equal((await ask(options.socketPath, '/-/health/ready/', headers)).status, 200);
    child.disconnect();
    assert.deepEqual(await exited, [0, null]);
  });

  it('as a process: stops when told, also with a connection open', async () => {
    const child = fork(fileURLToPath(new URL('control-plane-main.ts', import.meta.url)), [], { silent: true });
    const exited = once(child, 'exit');
    const options = start('c');
    child.send({ kind: 'start', ...options });
    await once(child, 'message');
    const client = new Client('http://control', { socketPath: options.socketPath });
    const { body } = await client.request({
      method: 'GET',
      path: '/',
      headers: { [LINK_HEADERS.credential]: CREDENTIAL, [LINK_HEADERS.internal]: INTERNAL },
    });
    await body.dump();
    child.send({ kind: 'stop' });
    assert.deepEqual(await exited, [0, null]);
    await client.destroy();
  });

  it('as a process: says a sentence and exits with 1 when it cannot run', async () => {
    const options = start('d');
    await (await startControlPlane({ ...options, log: pino({ level: 'silent' }) })).close();
    const sqlite = new DatabaseSync(join(root, 'd', 'gatehouse.db'));
    sqlite.exec('PRAGMA user_version = 99');
    sqlite.close();
    const child = fork(fileURLToPath(new URL('control-plane-main.ts', import.meta.url)), [], { silent: true });
    const exited = once(child, 'exit');
    child.send({ kind: 'start', ...options });
    const [message] = (await once(child, 'message')) as [FromControlPlane];
    assert.ok(message.kind === 'fatal');
    assert.equal(message.code, 'database-newer');
    assert.match(message.sentence, /newer Gatehouse/);
    assert.deepEqual(await exited, [1, null]);
  });
});
