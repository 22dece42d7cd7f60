import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { PREFIX_OF } from '../contract/paths.ts';
import { DEFAULT_PROVIDER_SETTINGS } from '../contract/provider-settings.ts';
import { providerConfig, TestOutpost } from './data-plane.test-helper.ts';
import type { Answer } from './data-plane.test-helper.ts';
import { ANSWERS, ASKERS, CLIENTS, managedNames, refreshed } from './decision-table.test-helper.ts';
import type { Asker, Cell, Client, Question } from './decision-table.test-helper.ts';

/** One row: how it comes to the decision, and what each cell says; undefined = the dialect cannot tell it apart. */
interface Row {
  signedIn?: boolean;
  /** once, after the sign-in */
  prepare?(outpost: TestOutpost): Promise<unknown> | void;
  /** before each cell */
  arrange?(outpost: TestOutpost): void;
  question: Question;
  cell(asker: Asker, client: Client): Cell | undefined;
  /** methods decide alike unless the row is about something only GET can do */
  anyMethod?: false;
}

const upstream = createServer((req, res) => {
  res.setHeader('x-upstream', JSON.stringify(req.rawHeaders)).end();
});
const settings = {
  ...DEFAULT_PROVIDER_SETTINGS,
  managed_headers: ['x-team'],
  previous_cookie_secret: '',
  applications: [],
};
const site = (over: object) => providerConfig({ skip_path_regex: '^/public/', gatehouse: settings, ...over });

/** The same provider, carried and asked about. */
async function startOutpost(): Promise<{ carried: TestOutpost; asked: TestOutpost }> {
  const internal_host = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  const carried = { mode: 'proxy' as const, internal_host };
  return {
    asked: await TestOutpost.start([site({})]),
    carried: await TestOutpost.start([site(carried)]),
  };
}

let eventNumber = 100;
/** An event that makes every session stale. */
function change(outpost: TestOutpost): number {
  const n = ++eventNumber;
  const event = { n, until: Date.now() + 1e7, kind: 'provider-changed', provider: 1 } as never;
  outpost.plane.applyEvents({ epoch: 'e1', snapshot: false, n, events: [event] });
  return n;
}

const ROWS: Record<string, Row> = {
  'allow: signed in': { signedIn: true, question: { target: '/x?a=1' }, cell: () => ANSWERS.allow() },
  'allow: signed in, a path servers read differently': {
    signedIn: true,
    question: { target: '/a%2fb' },
    cell: () => ANSWERS.allow(),
  },
  'allow: with fresh claims': {
    signedIn: true,
    arrange(outpost) {
      const n = change(outpost);
      outpost.server.refresh = () => refreshed(outpost, n);
    },
    question: { target: '/x' },
    cell: () => ANSWERS.allow(1),
  },
  'allow: a public path, nobody signed in': {
    question: { target: '/public/x?y=/private' },
    cell: (asker, client) => (asker.seesPath ? ANSWERS.public() : ANSWERS.login(asker, client)),
  },
  'login: nobody signed in': {
    question: { target: '/x?a=1&b=2' },
    cell: ANSWERS.login,
  },
  'login: only the query looks public': {
    question: { target: '/x?/public/' },
    cell: ANSWERS.login,
  },
  'login: renewal, past half of the session': {
    signedIn: true,
    prepare: (outpost) => outpost.pass(2000),
    question: { target: '/x' },
    cell: (asker, client) => (client === 'navigation' ? ANSWERS.login(asker, client) : ANSWERS.allow()),
    anyMethod: false,
  },
  'deny: signed in, may not': {
    signedIn: true,
    prepare(outpost) {
      outpost.server.refresh = () => ({ result: 'denied', reason: 'not-bound' });
      change(outpost);
    },
    question: { target: '/x' },
    cell: ANSWERS.deny,
  },
  'error: a path no honest client sends': {
    signedIn: true,
    question: { target: '/public/%2e%2e/admin' },
    cell: (asker, client) => (asker.seesPath ? ANSWERS.error(asker, client, 400) : ANSWERS.allow()),
  },
  'error: an ambiguous path, nobody signed in': {
    question: { target: '/public%2fx' },
    cell: (asker, client) => (asker.seesPath ? ANSWERS.error(asker, client, 400) : ANSWERS.login(asker, client)),
  },
  'error: claims too old while the server is away': {
    signedIn: true,
    async prepare(outpost) {
      outpost.channel.up = false;
      change(outpost);
      await outpost.browse('/outpost.goauthentik.io/start'); // the five minutes begin
      outpost.pass(301);
    },
    question: { target: '/x' },
    cell: (asker, client) => ANSWERS.error(asker, client, 503),
  },
  'error: the reverse proxy names no address': {
    signedIn: true,
    question: { target: undefined, headers: { host: 'app.test' } },
    cell(asker, client) {
      const { name, dialect, generation } = asker;
      // the path is all there is to ask Envoy's way and ours; the older nginx text names no address
      if (dialect === 'proxy' || name.includes('envoy')) return undefined;
      if (dialect === 'nginx' && generation === 'akprox') return ANSWERS.allow();
      return ANSWERS.misconfigured(asker, client);
    },
  },
  'error: an address given twice': {
    signedIn: true,
    question: { target: '/x', headers: { 'x-forwarded-uri': '/public/x', 'x-original-uri': '/public/x' } },
    cell(asker, client) {
      const { name, dialect } = asker;
      if (dialect !== 'nginx' || name === '/akprox/auth') return undefined;
      return name === '/akprox/auth/nginx' ? ANSWERS.allow() : ANSWERS.error(asker, client, 400);
    },
  },
  'error: a host of no application': {
    question: { target: '/x', host: 'nobody.test' },
    cell({ dialect }, client) {
      if (dialect === 'nginx') return { status: 403, body: 'text', cookies: 0 };
      return { status: 400, body: client === 'navigation' || client === 'frame' ? 'page' : 'json', cookies: 0 };
    },
  },
};

describe('decision table', () => {
  before(() => new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve)));
  after(() => {
    upstream.closeAllConnections();
    upstream.close();
  });

  for (const [title, row] of Object.entries(ROWS)) {
    describe(title, () => {
      let outposts: Awaited<ReturnType<typeof startOutpost>>;
      before(async () => {
        outposts = await startOutpost();
        if (row.signedIn !== true) return;
        await outposts.asked.login();
        await outposts.carried.login();
        for (const outpost of Object.values(outposts)) await row.prepare?.(outpost);
      });
      after(async () => {
        await outposts.asked.stop();
        await outposts.carried.stop();
      });

      for (const asker of ASKERS) {
        it(asker.name, async () => {
          const outpost = asker.dialect === 'proxy' ? outposts.carried : outposts.asked;
          for (const client of Object.keys(CLIENTS) as Client[]) {
            const expected = row.cell(asker, client);
            if (expected === undefined) continue;
            const methods = row.anyMethod === false ? ['GET'] : ['GET', 'HEAD', 'OPTIONS', 'POST', 'QUERY'];
            for (const method of methods) {
              row.arrange?.(outpost);
              const headers = { ...row.question.headers, ...CLIENTS[client], ...outpost.cookieHeader() };
              const answer = await asker.ask(outpost, { ...row.question, method, headers });
              check(asker, expected, answer, `${client} ${method}`);
            }
          }
        });
      }
    });
  }
});

/** nginx makes every login and denial a redirect to `start`, which tells them apart. */
describe('what start answers after a 401 of nginx', () => {
  const rows = [
    'login: nobody signed in',
    'deny: signed in, may not',
    'error: claims too old while the server is away',
  ];
  before(() => new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve)));
  after(() => upstream.close());
  for (const title of rows) {
    it(title, async () => {
      const row = ROWS[title] ?? assert.fail();
      const { asked: outpost, carried } = await startOutpost();
      if (row.signedIn === true) await outpost.login();
      await row.prepare?.(outpost);
      for (const generation of ['outpost', 'akprox'] as const) {
        const asker: Asker = {
          name: 'start',
          dialect: 'relayed',
          generation,
          seesPath: true,
          ask: () => assert.fail(),
        };
        for (const client of Object.keys(CLIENTS) as Client[]) {
          const headers = { ...CLIENTS[client], ...outpost.cookieHeader() };
          const answer = await outpost.send(`${PREFIX_OF[generation]}/start?rd=http://app.test/x?a=1`, headers);
          check(asker, row.cell(asker, client) ?? assert.fail(), answer, `${client} ${generation}`);
        }
      }
      await outpost.stop();
      await carried.stop();
    });
  }
});

function check(asker: Asker, expected: Cell, answer: Answer, what: string): void {
  const { status, headers, body } = answer;
  const story = `${what}: ${status} ${headers.location ?? ''} ${body.slice(0, 300)}`;
  assert.equal(status, expected.status, story);
  assert.equal(headers['set-cookie']?.length ?? 0, expected.cookies, `Set-Cookie, ${story}`);
  assert.equal((headers.location ?? '').slice(0, expected.location?.length), expected.location ?? '', story);
  assert.equal(headers['www-authenticate'] !== undefined, expected.authenticate === true, story);
  if (body !== '') assert.equal(bodyKind(answer), expected.body, story);
  else assert.ok(expected.body === 'empty' || what.endsWith('HEAD') || asker.name.includes('envoy'), story);
  if (expected.managed === undefined) {
    for (const name of managedNames(asker.generation)) assert.equal(headers[name.toLowerCase()], undefined, story);
    return;
  }
  // in proxy mode the application gets them; of nobody it gets none at all
  const carried = headers['x-upstream'];
  const raw: string[] = typeof carried === 'string' ? (JSON.parse(carried) as string[]) : answer.raw;
  const none = asker.dialect === 'proxy' && expected.managed === 'nobody';
  for (const name of managedNames(asker.generation)) {
    const values = raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === name.toLowerCase());
    assert.equal(values.length, none ? 0 : 1, `${name}, ${story}`);
    const username = name.endsWith('Username') && !none;
    if (username) assert.equal(values[0], expected.managed === 'person' ? 'alice' : '', `${name}, ${story}`);
  }
}

function bodyKind({ headers, body }: Answer): Cell['body'] {
  const type = headers['content-type'] ?? '';
  if (type.startsWith('text/html') && body.includes('<html')) return 'page';
  if (type.startsWith('application/json') && typeof JSON.parse(body) === 'object') return 'json';
  return type.startsWith('text/plain') ? 'text' : 'empty';
}
