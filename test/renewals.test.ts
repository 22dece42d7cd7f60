/** Who sees a login, and when: the table of docs/guides/sessions.md, made in every way an application can be reached. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { Client, trace } from './harness/client.ts';
import { hasPasswordField } from './harness/forms.ts';
import { Gatehouse, ROOT } from './harness/gatehouse.ts';
import { Provision } from './harness/provision.ts';
import type { Person } from './harness/provision.ts';
import { Upstream } from './harness/upstream.ts';
import { eventually, failed, sleep } from './harness/wait.ts';
import { WAYS, Ways, WAY_NAMES } from './harness/ways.ts';
import type { WayName } from './harness/ways.ts';

/** Life of a session. Its end is a whole second, so that it may be one second shorter. */
const LIFE_MS = 6_000;
const SECOND = 1_000;
/** how often a client is watched: through half a life with pages, through a whole one without */
const RENEWALS = 3;
const LIVES = 2;

/** What a visit came to; `away`: a redirect to another site, which a script cannot follow. */
type Outcome = 'served' | 'silent' | 'form' | '401' | 'away';
type Phase = 'first half' | 'second half' | 'over';

const WORDS: Readonly<Record<Outcome, string>> = {
  served: 'goes on',
  silent: 'renewed, no page seen',
  form: 'login page',
  '401': '401',
  away: 'redirect to the login, which `fetch` cannot follow',
};

/** Where all is not as usual. The published text of Envoy does not say that a page is opened, or that a script asks. */
const RENEWED = (name: WayName): Outcome => (name === 'bareenvoy' ? 'served' : 'silent');
const REFUSED = (name: WayName): Outcome => (name === 'bareenvoy' ? 'away' : '401');

let gatehouse: Gatehouse;
let provision: Provision;
let upstream: Upstream;
let ways: Ways;
let alice: Person;
const clients: Client[] = [];

before(async () => {
  gatehouse = await Gatehouse.start({ workers: 1 });
  provision = new Provision(gatehouse.api);
  upstream = await Upstream.start();
  await provision.serverAddress(`http://auth.test:${gatehouse.port}`);
  alice = await provision.user('alice');
  ways = await Ways.start(gatehouse, provision, upstream.origin, `seconds=${LIFE_MS / SECOND}`);
});
after(async () => {
  for (const client of clients) await client.close();
  await ways?.stop();
  await upstream?.stop();
  await gatehouse?.stop();
});
afterEach((t) => {
  gatehouse?.explain(t);
  if (failed(t)) console.error(ways?.log());
});

let signedIn: Promise<unknown> = Promise.resolve();

/** A browser at one application, which knows how old its session can be at a given moment. */
class Visitor {
  readonly #client: Client;
  readonly #home: string;
  /** the session was made between these moments */
  #earliest = 0;
  #latest = 0;
  readonly seen: Record<Phase, Set<Outcome>> = { 'first half': new Set(), 'second half': new Set(), over: new Set() };

  constructor(name: WayName) {
    this.#client = new Client();
    this.#home = ways.address(name);
    clients.push(this.#client);
  }

  /** The cookies of the session, without those of logins under way. */
  get session(): string {
    const cookies = this.#client.jar.for(new URL(`${this.#home}/`));
    const own = cookies.filter(({ name }) => /^authentik_proxy_[0-9a-f]{8}(_\d)?$/.test(name));
    return own.map(({ name, value }) => `${name}=${value}`).join('; ');
  }

  /** One after the other: of one account so many at once are guesses. */
  signIn(): Promise<void> {
    const own = signedIn.then(() => this.#signIn());
    signedIn = own.catch(() => undefined);
    return own;
  }

  async #signIn(): Promise<void> {
    this.#earliest = performance.now();
    const page = await this.#client.enter(`${this.#home}/first`, 'alice', alice.password);
    assert.equal(page.status, 200, trace(page));
    this.#latest = performance.now();
  }

  /** Opens a page, as with the address bar. */
  async open(): Promise<Outcome> {
    const began = performance.now();
    const address = `${this.#home}/page?x=1&y=%2F`;
    const page = await this.#client.open(address);
    const outcome = hasPasswordField(page.text) ? 'form' : page.hops.length > 1 ? 'silent' : 'served';
    if (outcome !== 'form') {
      assert.equal(page.status, 200, trace(page));
      assert.equal(page.url.href, address, trace(page));
    }
    this.#note(outcome, began);
    if (outcome === 'silent') [this.#earliest, this.#latest] = [began, performance.now()];
    return outcome;
  }

  /** What `fetch` of a page's script comes to: redirects of the same site are followed. */
  async fetch(): Promise<Outcome> {
    const began = performance.now();
    let target = new URL(`${this.#home}/data`);
    for (let hop = 0; hop < 5; hop++) {
      const answer = await this.#client.background('GET', target);
      const location = answer.hops[0]?.location;
      if (location === undefined) {
        assert.ok(answer.status === 200 || answer.status === 401, `${answer.status} ${answer.text}`);
        return this.#note(answer.status === 200 ? 'served' : '401', began);
      }
      target = new URL(location, target);
      if (target.origin !== this.#home) return this.#note('away', began);
    }
    throw new Error(`${this.#home}: a script is sent round`);
  }

  /** For certain past half of the session's life. */
  get pastHalf(): boolean {
    return performance.now() - this.#latest > LIFE_MS / 2;
  }

  /** For certain past its end. */
  get over(): boolean {
    return performance.now() - this.#latest > LIFE_MS + SECOND;
  }

  /** Only visits that fell into one phase for certain count, however slow the machine is. */
  #note(outcome: Outcome, began: number): Outcome {
    const least = began - this.#latest;
    const most = performance.now() - this.#earliest;
    if (most < (LIFE_MS - SECOND) / 2) this.seen['first half'].add(outcome);
    else if (least > LIFE_MS / 2 && most < LIFE_MS - SECOND) this.seen['second half'].add(outcome);
    else if (least > LIFE_MS + SECOND) this.seen.over.add(outcome);
    return outcome;
  }
}

/** Asks until the session has been seen in all the phases, with a new one when one was missed. */
async function scriptsOnly(name: WayName): Promise<void> {
  const visitor = new Visitor(name);
  await visitor.signIn();
  for (let round = 0; round < LIVES || visitor.seen['second half'].size === 0; round++) {
    const { session } = visitor;
    while (!visitor.over) {
      await visitor.fetch();
      await sleep(200);
    }
    assert.equal(await visitor.fetch(), REFUSED(name));
    assert.ok(['', session].includes(visitor.session), 'no script renews a session');
    assert.equal(await visitor.open(), 'silent', 'the person who opens the page again sees no login');
  }
  assert.deepEqual(visitor.seen, {
    'first half': new Set(['served']),
    'second half': new Set(['served']),
    over: new Set([REFUSED(name), 'silent']),
  });
}

/** A page whose scripts ask all the time, and which is opened anew from time to time. */
async function opensPages(name: WayName): Promise<void> {
  const visitor = new Visitor(name);
  const { 'first half': first, 'second half': second } = visitor.seen;
  await visitor.signIn();
  // without renewals, each round takes a whole life
  const rounds = RENEWED(name) === 'silent' ? RENEWALS : 1;
  for (let round = 0; round < rounds || first.size === 0 || second.size === 0; round++) {
    const before = visitor.session;
    assert.notEqual(await visitor.open(), 'form');
    while (!visitor.pastHalf) {
      await visitor.fetch();
      await sleep(200);
    }
    const outcome = await visitor.open();
    if (outcome === 'silent') assert.notEqual(visitor.session, before);
    else assert.equal(outcome, RENEWED(name));
    while (outcome === 'served' && !visitor.over) await sleep(200);
  }
  assert.deepEqual(first, new Set(['served']));
  assert.deepEqual(second, new Set([RENEWED(name)]));
  assert.notEqual(await visitor.open(), 'form');
}

const text = (phrase: string) => phrase.replaceAll(/\s+/g, ' ');

describe('over several renewals', { concurrency: true }, () => {
  it('somebody who opens pages never sees a login, nor do the scripts of these pages', async () => {
    await Promise.all(WAY_NAMES.map(opensPages));
  });

  it('scripts alone go on until the session ends, and after that only a visit makes a new one', async () => {
    await Promise.all(WAY_NAMES.map(scriptsOnly));
  });
});

describe('the end of a session', () => {
  it('at the server leads everybody to a login', async () => {
    const visitors = new Map(WAY_NAMES.map((name) => [name, new Visitor(name)]));
    for (const visitor of visitors.values()) await visitor.signIn();
    const sessions = await gatehouse.api.list('core/authenticated_sessions/?page_size=100');
    for (const session of sessions.filter(({ user }) => user === alice.pk)) {
      await gatehouse.api.delete(`core/authenticated_sessions/${String(session['uuid'])}/`);
    }
    for (const [name, visitor] of visitors) {
      await eventually(`${name}: ended`, 15_000, async () => {
        assert.equal(await visitor.fetch(), REFUSED(name), name);
      });
      assert.equal(await visitor.open(), 'form', name);
    }
  });

  it('is told in the guide as it was seen here', () => {
    const guide = text(readFileSync(join(ROOT, 'docs/guides/sessions.md'), 'utf8'));
    for (const name of WAY_NAMES) {
      const columns = [WAYS[name].title, WORDS[RENEWED(name)], WORDS.served, WORDS[REFUSED(name)]];
      assert.ok(guide.includes(`| ${columns.join(' | ')} |`), `| ${columns.join(' | ')} |`);
    }
  });
});
