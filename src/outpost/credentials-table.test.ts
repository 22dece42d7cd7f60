/** The table of header authentication (docs/guides/header-authentication.md), in proxy mode and in every dialect. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { ALICE, providerConfig, TestOutpost } from './data-plane.test-helper.ts';
import type { Answer, Person } from './data-plane.test-helper.ts';
import { ANSWERS, ASKERS, CLIENTS } from './decision-table.test-helper.ts';
import type { Asker, Cell, Client } from './decision-table.test-helper.ts';
import { TOKEN_USER } from './identify/credentials/presented.ts';

const ROBOT: Person = {
  sub: 'uid-of-robot',
  sid: '',
  claims: { ...ALICE.claims, preferred_username: 'robot', name: 'Robot' },
};

/** What is sent in Authorization. */
const SENT: Record<string, (outpost: TestOutpost) => Promise<string> | string | undefined> = {
  absent: () => undefined,
  'an app password': ({ server }) => server.basic('robot', ROBOT),
  'the token user': async ({ server }) => {
    const token = (await server.bearer('client-1', ROBOT)).slice('Bearer '.length);
    return `Basic ${Buffer.from(`${TOKEN_USER}:${token}`).toString('base64')}`;
  },
  'a token': ({ server }) => server.bearer('client-1', ROBOT),
  'a wrong password': () => `Basic ${Buffer.from('robot:wrong').toString('base64')}`,
  'a token that was revoked': async ({ server }) => {
    const header = await server.bearer('client-1', ROBOT);
    server.issued.clear();
    return header;
  },
  'something for the application': () => 'Token of-the-application',
  'an app password of somebody who may not': ({ server }) => server.basic('stranger', ROBOT, 'group-required'),
};
const VALID = ['an app password', 'the token user', 'a token'];
const INVALID = ['a wrong password', 'a token that was revoked', 'something for the application'];

/** `kept`: as sent. `removed`: no such header. */
type Seen = 'kept' | 'removed';
interface Expected extends Cell {
  user?: string;
  /** what the application gets of Authorization; undefined = the request does not reach it */
  authorization?: Seen;
}

const unauthorized = (asker: Asker, client: Client): Expected => ({
  ...ANSWERS.error(asker, client, 401),
  ...(asker.dialect === 'nginx' ? { status: 401 } : {}),
  authenticate: true,
});

const ROWS: {
  title: string;
  session: boolean;
  sent: readonly string[];
  intercept: readonly boolean[];
  target?: string;
  cell(asker: Asker, client: Client): Expected | undefined;
}[] = [
  {
    title: 'a session passes whatever is sent beside it',
    session: true,
    sent: Object.keys(SENT),
    intercept: [true, false],
    cell: () => ({ ...ANSWERS.allow(), user: 'alice', authorization: 'kept' }),
  },
  {
    title: 'without anything there is the login',
    session: false,
    sent: ['absent'],
    intercept: [true, false],
    cell: ANSWERS.login,
  },
  {
    title: 'credentials pass as whose they are, with a session',
    session: false,
    sent: VALID,
    intercept: [true, false],
    cell: () => ({ ...ANSWERS.allow(1), user: 'robot', authorization: 'removed' }),
  },
  {
    title: 'credentials count on public paths too',
    session: false,
    sent: VALID,
    intercept: [true, false],
    target: '/public/x',
    cell: () => ({ ...ANSWERS.allow(1), user: 'robot', authorization: 'removed' }),
  },
  {
    title: 'wrong ones are told so',
    session: false,
    sent: INVALID,
    intercept: [true],
    cell: unauthorized,
  },
  {
    title: 'or sent to the login, where the provider does not intercept',
    session: false,
    sent: INVALID,
    intercept: [false],
    cell: ANSWERS.login,
  },
  {
    title: 'wrong ones are nobody on a public path, and left to the application',
    session: false,
    sent: INVALID,
    intercept: [true, false],
    target: '/public/x',
    // a path that is not named is never public
    cell: (asker) => (asker.seesPath ? { ...ANSWERS.public(), authorization: 'kept' } : undefined),
  },
  {
    title: 'right ones of somebody who may not are denied',
    session: false,
    sent: ['an app password of somebody who may not'],
    intercept: [true, false],
    cell: ANSWERS.deny,
  },
];

const upstream = createServer((req, res) => {
  res.setHeader('x-upstream', JSON.stringify(req.rawHeaders)).end();
});

async function startOutpost(intercept: boolean): Promise<{ carried: TestOutpost; asked: TestOutpost }> {
  const internal_host = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  const over = { skip_path_regex: '^/public/', intercept_header_auth: intercept };
  return {
    asked: await TestOutpost.start([providerConfig(over)]),
    carried: await TestOutpost.start([providerConfig({ ...over, mode: 'proxy', internal_host })]),
  };
}

describe('header authentication', () => {
  before(() => new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve)));
  after(() => {
    upstream.closeAllConnections();
    upstream.close();
  });

  for (const { title, session, sent, intercept, target = '/x?a=1', cell } of ROWS) {
    for (const intercepts of intercept) {
      describe(`${title} (intercept ${intercepts ? 'on' : 'off'})`, () => {
        let outposts: Awaited<ReturnType<typeof startOutpost>>;
        before(async () => {
          outposts = await startOutpost(intercepts);
          if (session) for (const outpost of Object.values(outposts)) await outpost.login();
        });
        after(async () => {
          await outposts.asked.stop();
          await outposts.carried.stop();
        });
        for (const asker of ASKERS) {
          it(asker.name, async () => {
            const outpost = asker.dialect === 'proxy' ? outposts.carried : outposts.asked;
            for (const what of sent) {
              const authorization = await SENT[what]?.(outpost);
              for (const client of Object.keys(CLIENTS) as Client[]) {
                const headers = {
                  ...CLIENTS[client],
                  ...outpost.cookieHeader(),
                  ...(authorization === undefined ? {} : { authorization }),
                };
                const expected = cell(asker, client);
                if (expected === undefined) continue;
                // the second time from the cache
                for (const round of [1, 2]) {
                  const answer = await asker.ask(outpost, { target, headers });
                  check(asker, expected, answer, authorization, `${what}, ${client}, round ${round}`);
                }
              }
            }
          });
        }
      });
    }
  }
});

function check(asker: Asker, expected: Expected, answer: Answer, sent: string | undefined, what: string): void {
  const { status, headers } = answer;
  const story = `${what}: ${status} ${headers.location ?? ''} ${answer.body.slice(0, 300)}`;
  assert.equal(status, expected.status, story);
  assert.equal(headers['set-cookie']?.length ?? 0, expected.cookies, `Set-Cookie, ${story}`);
  assert.equal((headers.location ?? '').slice(0, expected.location?.length), expected.location ?? '', story);
  assert.equal(headers['www-authenticate'] !== undefined, expected.authenticate === true, story);
  if (expected.managed === undefined) {
    assert.equal(headers['x-authentik-username'], undefined, story);
    assert.equal(headers['authorization'], undefined, story);
    return;
  }
  const carried = headers['x-upstream'];
  const raw = typeof carried === 'string' ? (JSON.parse(carried) as string[]) : answer.raw;
  const valuesOf = (name: string) => raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === name);
  const nobody = asker.dialect === 'proxy' ? [] : [''];
  assert.deepEqual(valuesOf('x-authentik-username'), expected.user === undefined ? nobody : [expected.user], story);
  assert.deepEqual(
    seenByApplication(asker, sent, valuesOf('authorization'), headers['x-envoy-auth-headers-to-remove']),
    expected.authorization === 'kept' && sent !== undefined ? [sent] : [],
    `Authorization, ${story}`,
  );
}

/**
 * What the application gets: in proxy mode that is what it got. A reverse proxy that puts the answer's header in place of
 * the visitor's sends on what the answer says; Envoy keeps the visitor's unless told to take it out.
 */
function seenByApplication(asker: Asker, sent: string | undefined, told: string[], remove: unknown): string[] {
  if (!asker.name.includes('envoy')) return told;
  if (told.length > 0) return told;
  return remove === 'authorization' || sent === undefined ? [] : [sent];
}

/** nginx makes a redirect to `start` of every 401: what a client that follows it is told there. */
describe('what start answers to credentials', () => {
  let on: TestOutpost;
  let off: TestOutpost;
  before(async () => {
    on = await TestOutpost.start([providerConfig()]);
    off = await TestOutpost.start([providerConfig({ intercept_header_auth: false })]);
  });
  after(async () => {
    await on.stop();
    await off.stop();
  });
  const START = '/outpost.goauthentik.io/start?rd=http://app.test/x?a=1';

  it('401 to wrong ones, and the login only without them', async () => {
    for (const what of INVALID) {
      for (const accept of ['text/html', '*/*']) {
        const authorization = await SENT[what]?.(on);
        assert.ok(authorization !== undefined);
        const answer = await on.send(START, { accept, authorization });
        assert.equal(answer.status, 401, what);
        assert.match(answer.headers['www-authenticate'] ?? '', /^(Basic|Bearer) realm="app"/);
        assert.equal(answer.headers.location, undefined);
        const login = await off.send(START, { accept, authorization });
        assert.equal(login.status, 302, what);
      }
    }
    assert.equal((await on.send(START)).status, 302);
  });

  it('403 to right ones of somebody who may not', async () => {
    for (const outpost of [on, off]) {
      const authorization = outpost.server.basic('stranger', ROBOT, 'group-required');
      const page = await outpost.send(START, { authorization, accept: 'text/html' });
      assert.equal(page.status, 403);
      assert.match(page.body, /access-denied/);
      const program = await outpost.send(START, { authorization });
      assert.equal(program.status, 403);
      assert.equal((JSON.parse(program.body) as { code: string }).code, 'access-denied');
      assert.equal(outpost.log.at(-1)?.reason, 'access-denied');
    }
  });

  it('the way back, with a session, to right ones', async () => {
    const answer = await on.send(START, { authorization: on.server.basic('robot', ROBOT), accept: 'text/html' });
    assert.equal(answer.status, 302);
    assert.equal(answer.headers.location, 'http://app.test/x?a=1');
    assert.equal(answer.headers['set-cookie']?.length, 1);
  });
});
