/** WebSockets and server-sent events in Chromium, for a while, in every way they can pass. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { person, signIn, startBrowser } from './harness/browser.ts';
import { freePort } from './harness/ports.ts';
import type { Person } from './harness/provision.ts';
import { Scene } from './harness/scene.ts';
import type { Stream } from './harness/streams.ts';
import { eventually, sleep, stalledMs } from './harness/wait.ts';

/**
 * nginx asks and carries; Gatehouse carries; nginx in front of Gatehouse, which carries; Gatehouse on its own port for
 * HTTPS, where browsers take HTTP/2 for all but the WebSocket.
 */
const WAYS = ['asked', 'direct', 'behind', 'secure'] as const;
const CARRIED = ['direct', 'behind', 'secure'];
/** The rule (spec/security.md I). */
const SOON_MS = 1000;

/** What a page heard. Runs in the browser. */
interface Heard {
  protocol: string;
  extensions: string;
  /** close code of the WebSocket */
  closed: number | undefined;
  events: number;
  /** events that did not follow the one before */
  gaps: number;
  /** the event stream broke off or began anew */
  broken: number;
}
declare const window: { heard: Heard };
declare const location: { origin: string };

/** @param seconds how long the streams run before somebody signs out */
export function testStreams(seconds: number): void {
  describe(`streams that run for ${seconds} s`, { timeout: (seconds + 400) * 1000 }, () => {
    let scene: Scene;
    let securePort: number;
    let browser: Browser;
    let alice: Person;
    let context: BrowserContext;
    const pages = new Map<string, Page>();

    const address = (way: string) => (way === 'secure' ? `https://secure.test:${securePort}` : scene.address(way));

    before(async () => {
      securePort = await freePort();
      scene = await Scene.start({
        gatehouse: { workers: 2, securePort },
        nginx: { asked: 'outpost', behind: 'carried' },
      });
      alice = await scene.provision.user('alice');
      for (const way of WAYS) await scene.application(way, { externalHost: address(way) });
      browser = await startBrowser();
      context = await person(browser);
    });
    after(async () => {
      await browser?.close();
      await scene?.stop();
    });
    afterEach((t) => scene?.explain(t));

    const found = (name: string, kind: Stream['kind']) => {
      const streams = scene.upstream.streams.all.filter((s) => s.name === name && s.kind === kind);
      assert.equal(streams.length, 1, `${name}: ${streams.length} ${kind} streams reached the application`);
      return streams[0]!;
    };
    const heard = (name: string) => pages.get(name)!.evaluate(() => window.heard);

    it('begin in the browser of somebody signed in', async () => {
      for (const way of WAYS) {
        const page = await context.newPage();
        pages.set(way, page);
        await page.goto(`${address(way)}/`);
        if (page.url().startsWith(scene.server)) {
          await signIn(page, 'alice', alice.password, (url) => url.origin === address(way));
        }
        await page.evaluate(listen, way);
      }
      await eventually('all streams', 20_000, () =>
        WAYS.forEach((way) => (found(way, 'socket'), found(way, 'events'))),
      );
      for (const way of WAYS) {
        // the application knows of a stream before the browser does
        await eventually(`${way}: the browser heard of it`, 10_000, async () => {
          const { protocol, extensions } = await heard(way);
          assert.equal(protocol, 'ticks', way);
          assert.match(extensions, /permessage-deflate/, way);
        });
      }
    });

    it('are refused to pages of other origins, though the browser sends the session along', async () => {
      const before = scene.upstream.streams.all.length;
      const page = await context.newPage();
      await page.goto(`http://direct.test:${scene.upstream.port}/`); // the same site, another origin
      const socket = `${address('direct').replace('http', 'ws')}/socket?name=stranger`;
      const opened = (url: string) =>
        page.evaluate(
          (to) =>
            new Promise<boolean>((resolve) => {
              const ws = new WebSocket(to);
              ws.onopen = () => resolve(true);
              ws.onclose = () => resolve(false);
            }),
          url,
        );
      assert.equal(await opened(socket), false);
      assert.equal(scene.upstream.streams.all.length, before);
      await page.close();
    });

    it(`go on for ${seconds} s without a gap`, async (t) => {
      await sleep(seconds * 1000);
      // how much is said is up to the clock of this machine: all of it has to arrive
      const said = WAYS.map((way) => [found(way, 'socket').sent, found(way, 'events').sent] as const);
      for (const [i, way] of WAYS.entries()) {
        const [socket, events] = [found(way, 'socket'), found(way, 'events')];
        const [messages, numbers] = said[i]!;
        assert.ok(messages > seconds && numbers > seconds, `${way}: only ${messages} and ${numbers} were sent`);
        const { value: page } = await eventually(`${way}: all that was said`, 20_000, async () => {
          const now = await heard(way);
          assert.ok(socket.echoed >= messages, `${way}: ${socket.echoed} of ${messages} messages came back`);
          assert.ok(now.events >= numbers, `${way}: ${now.events} of ${numbers} events arrived`);
          return now;
        });
        assert.equal(socket.endedAt, undefined, `${way}: the WebSocket ended`);
        assert.equal(events.endedAt, undefined, `${way}: the event stream ended`);
        assert.deepEqual([page.closed, page.gaps, page.broken], [undefined, 0, 0], way);
        const slowest = Math.round(socket.slowest);
        t.diagnostic(`${way}: ${socket.echoed} messages, slowest ${slowest} ms; ${page.events} events`);
      }
    });

    it('end within a second of the sign-out where Gatehouse carries them', async (t) => {
      const page = await context.newPage();
      const target = `${address('direct')}/outpost.goauthentik.io/sign_out`;
      // not before the browser has got round to it
      let signedOut = Number.NaN;
      let before = 0;
      page.on('request', (request) => {
        if (request.url() === target) [signedOut, before] = [performance.now(), stalledMs()];
      });
      await page.goto(target);
      const ended = () =>
        CARRIED.flatMap((way) => [found(way, 'socket'), found(way, 'events')]).map((stream) => {
          assert.ok(stream.endedAt !== undefined, `${stream.name}: the ${stream.kind} stream goes on`);
          return stream.endedAt - signedOut;
        });
      const { value } = await eventually('streams end', 5 * SOON_MS, ended);
      const latest = Math.round(Math.max(...value));
      const stood = Math.round(stalledMs() - before);
      t.diagnostic(`the last one ended ${latest} ms after the sign-out, of which the machine stood still for ${stood}`);
      assert.ok(latest - stood <= SOON_MS, `${latest} ms`);
      for (const way of CARRIED) {
        await eventually(`${way}: the page knows`, 20_000, async () => {
          const { closed, broken } = await heard(way);
          assert.ok(closed !== undefined && broken > 0);
        });
      }
    });

    it('go on where nginx carries them and only asked at their beginning, but new ones are refused', async () => {
      const socket = found('asked', 'socket');
      const { echoed } = socket;
      await eventually('more messages', 20_000, () => assert.ok(socket.echoed > echoed + 2));
      assert.equal(found('asked', 'events').endedAt, undefined);
      await pages.get('asked')!.evaluate(listen, 'late');
      await eventually('refused', 20_000, async () => assert.ok((await heard('asked')).closed !== undefined));
      assert.equal(scene.upstream.streams.all.filter((stream) => stream.name === 'late').length, 0);
    });
  });
}

/** Opens both streams from inside a page and echoes what the WebSocket says. */
function listen(name: string): void {
  const heard: Heard = { protocol: '', extensions: '', closed: undefined, events: 0, gaps: 0, broken: 0 };
  window.heard = heard;
  const ws = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/socket?name=${name}`, ['ticks']);
  ws.onopen = () => Object.assign(heard, { protocol: ws.protocol, extensions: ws.extensions });
  ws.onmessage = ({ data }) => ws.send(data as string);
  ws.onclose = ({ code }) => (heard.closed = code);
  const events = new EventSource(`/events?name=${name}`);
  events.onmessage = ({ data }) => {
    if (Number(data) !== heard.events) heard.gaps++;
    heard.events++;
  };
  events.onerror = () => {
    heard.broken++;
    events.close();
  };
}
