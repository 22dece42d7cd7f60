/** Outposts elsewhere: what their tokens open, and which tokens they believe. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { Cursor, IdentityEventBatch } from '../../src/contract/extension.ts';
import { INSTRUCTION, parseFrame } from '../../src/contract/messages.ts';
import { Api } from '../harness/api.ts';
import { Client, trace } from '../harness/client.ts';
import { OfficialServer } from '../harness/official-server.ts';
import { StandaloneOutpost } from '../harness/outpost.ts';
import { eventually, within } from '../harness/wait.ts';
import type { Case } from './support/case.ts';
import type { Env } from './support/env.ts';
import { MODES } from './support/modes.ts';
import { allowed, marker } from './support/verify.ts';

interface Elsewhere {
  pk: string;
  token: string;
  provider: number;
}

/** An outpost of its own, which serves the application `two`. */
async function elsewhere(env: Env): Promise<Elsewhere> {
  const { provider } = env.applications.two;
  return { ...(await env.provision.outpost(`elsewhere ${marker()}`, [provider])), provider };
}

/** @returns the open link, or the status of the refusal */
async function link(env: Env, pk: string, authorization?: string): Promise<WebSocket | number> {
  const url = `ws://127.0.0.1:${env.port}/ws/outpost/${pk}/?instance_uuid=x&attempt=0`;
  const headers = { host: new URL(env.base).host, ...(authorization === undefined ? {} : { authorization }) };
  const socket = new WebSocket(url, { headers });
  socket.on('error', () => undefined);
  return new Promise((resolve) => {
    socket.once('open', () => resolve(socket));
    socket.once('unexpected-response', (_request, answer) => {
      socket.terminate();
      resolve(answer.statusCode ?? 0);
    });
  });
}

async function refused(env: Env, pk: string, authorization: string | undefined, what: string): Promise<void> {
  const answer = await link(env, pk, authorization);
  if (typeof answer !== 'number') answer.terminate();
  assert.equal(answer, 403, what);
}

/** Says at which position of the log of identity events an outpost is. @returns what it is told */
async function position(env: Env, { pk, token }: Elsewhere, cursor: Cursor): Promise<IdentityEventBatch> {
  const socket = await link(env, pk, `Bearer ${token}`);
  assert.ok(typeof socket !== 'number');
  try {
    const told = new Promise<IdentityEventBatch>((resolve) => {
      socket.on('message', (data: Buffer) => {
        const frame = parseFrame(data.toString());
        if (frame?.instruction === INSTRUCTION.IDENTITY_EVENTS) resolve(frame.args as unknown as IdentityEventBatch);
      });
    });
    const args = { uuid: 'x', gatehouse: { extension: '1', cursor } };
    socket.send(JSON.stringify({ instruction: INSTRUCTION.HELLO, args }));
    return (await within(10_000, told)) ?? assert.fail('no answer to the HELLO');
  } finally {
    socket.terminate();
  }
}

export const cases: Case[] = [
  {
    id: 'F40',
    rule: 'F',
    title: "an outpost's token opens what is its own, whatever group its account is put into",
    async run(env) {
      const mine = await elsewhere(env);
      const as = new Api(env.base.replace('auth.test', '127.0.0.1'), mine.token);
      const me = (await as.get('core/users/me/'))['user'] as { pk: number };
      const embedded = String((await env.provision.embedded())['pk']);
      const foreign = env.applications.closed.provider;
      const group = await env.provision.group(`more ${marker()}`, [], { is_superuser: true });
      for (const round of ['as made', 'in a group of superusers']) {
        const calls: [string, string, unknown?][] = [
          ['GET', 'core/users/'],
          ['GET', 'core/tokens/'],
          ['GET', `core/tokens/ak-outpost-${mine.pk}-api/view_key/`],
          ['POST', 'core/tokens/', { identifier: marker(), intent: 'api', user: env.people.eve.pk }],
          ['GET', `outposts/instances/${embedded}/`],
          ['PATCH', `outposts/instances/${mine.pk}/`, { providers: [mine.provider, foreign] }],
          ['GET', `outposts/proxy/${foreign}/`],
          ['GET', `providers/proxy/${foreign}/`],
          ['PATCH', `providers/proxy/${mine.provider}/gatehouse/`, { access_default: 'public' }],
          ['POST', 'gatehouse/outposts/session_refresh/', { provider: foreign, sid: 'a', uid: 'b' }],
          ['POST', 'gatehouse/outposts/sign_out/', { provider: foreign, sid: 'a', uid: 'b' }],
        ];
        for (const [method, path, body] of calls) {
          const { status, text } = await as.raw(method, path, body);
          assert.ok(status === 403 || status === 404, `${round}: ${method} ${path}: ${status} ${text}`);
        }
        for (const list of ['outposts/proxy/', 'gatehouse/outposts/configuration/']) {
          const { text } = await as.raw('GET', list);
          assert.ok(
            text.includes('two.test') && !text.includes('closed.test'),
            `${round}: ${list}: ${text.slice(0, 300)}`,
          );
        }
        await env.provision.addMember(group, me.pk);
      }
    },
  },
  {
    id: 'F41',
    rule: 'F',
    title: "an outpost's token attaches to its own link only",
    async run(env) {
      const [mine, other] = [await elsewhere(env), await elsewhere(env)];
      const own = await link(env, mine.pk, `Bearer ${mine.token}`);
      assert.ok(typeof own !== 'number', `its own: ${String(own)}`);
      own.terminate();
      const embedded = String((await env.provision.embedded())['pk']);
      const person = await env.person();
      const password = await env.provision.appPassword(person.pk, `link-${person.pk}`);
      for (const pk of [other.pk, embedded]) await refused(env, pk, `Bearer ${mine.token}`, 'of another');
      await refused(env, mine.pk, undefined, 'nothing');
      await refused(env, mine.pk, `Bearer ${env.gatehouse.api.token}`, "an administrator's");
      await refused(env, mine.pk, `Bearer ${password}`, 'an app password');
      await refused(env, mine.pk, `Basic ${mine.token}`, 'another scheme');
    },
  },
  {
    id: 'I40',
    rule: 'I',
    title: "a link ends with the outpost's token, however quiet the outpost is",
    async run(env) {
      const mine = await elsewhere(env);
      const quiet = await link(env, mine.pk, `Bearer ${mine.token}`);
      assert.ok(typeof quiet !== 'number');
      await once(quiet, 'ping', { signal: AbortSignal.timeout(30_000) }); // the next look would be in ten seconds
      const closed = once(quiet, 'close', { signal: AbortSignal.timeout(7000) });
      const path = `core/tokens/ak-outpost-${mine.pk}-api/set_key/`;
      await env.gatehouse.api.post(path, { key: `${marker()}-another-key-of-forty-characters-or-more` });
      const [code] = (await closed) as [number];
      assert.equal(code, 1008);
      await refused(env, mine.pk, `Bearer ${mine.token}`, 'the former token');
    },
  },
  {
    id: 'I41',
    rule: 'I',
    title: 'an outpost that names a position nobody gave gets everything, and changes nothing for others',
    async run(env) {
      const mine = await elsewhere(env);
      const learnt = await position(env, mine, { epoch: '', n: 0 });
      assert.equal(learnt.snapshot, true);
      for (const n of [learnt.n, 1e9, 1e9]) {
        const answer = await position(env, mine, { epoch: learnt.epoch, n });
        assert.equal(answer.snapshot, n === 1e9, `at ${n}`);
        assert.equal(answer.epoch, learnt.epoch, 'the log goes on for everybody');
      }
      const { browser } = await env.visitor('one');
      allowed(await MODES[0]!.knock(env, { path: '/private', who: browser }), 'who signs in afterwards');
    },
  },
  {
    id: 'F42',
    rule: 'F',
    title: 'a token signed with the client secret counts only where a server offers nothing else',
    async run(env) {
      const server = await OfficialServer.start();
      server.person = { username: 'mallory' };
      const outpost = await StandaloneOutpost.prepare({
        server: server.origin,
        token: server.token,
        workers: 1,
        root: env.root,
      });
      const visitor = new Client();
      try {
        const lists = [['HS256'], ['HS256', 'RS256'], ['RS256', 'HS256'], ['RS256'], []];
        lists.forEach((algorithms, i) => {
          const external_host = `http://list${i}.test:${outpost.port}`;
          const internal_host = `http://127.0.0.1:${env.upstream.port}`;
          server.providers.push({
            pk: i + 1,
            slug: `list${i}`,
            mode: 'proxy',
            external_host,
            internal_host,
            algorithms,
          });
        });
        outpost.launch();
        await outpost.configured();
        for (const [i, algorithms] of lists.entries()) {
          await eventually('an answer', 15_000, async () => {
            const page = await visitor.open(`http://list${i}.test:${outpost.port}/`);
            assert.equal(page.status, i === 0 ? 200 : 502, `${JSON.stringify(algorithms)}: ${trace(page)}`);
          });
        }
      } finally {
        await visitor.close();
        await outpost.stop();
        await server.stop();
      }
    },
  },
];
