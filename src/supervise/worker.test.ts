import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { OutpostInstance, ProxyOutpostConfig } from '../contract/api.ts';
import { localPair } from './channel.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import { runWorker } from './worker.ts';
import type { Plane } from './worker.ts';

const OUTPOST: OutpostInstance = {
  pk: 'op-1',
  name: 'embedded',
  refresh_interval_s: 300,
  managed: null,
  config: { authentik_host: '', authentik_host_browser: '', authentik_host_insecure: false, log_level: 'info' },
};

/** A worker without listeners; `done` holds what its data plane was told, `turn` where another request could come. */
function worker(onConfigure: (providers: readonly ProxyOutpostConfig[]) => void = () => undefined) {
  const done: string[] = [];
  const plane: Plane = {
    configure: (_outpost, providers) => {
      onConfigure(providers);
      done.push('configure');
      queueMicrotask(() => done.push('turn'));
    },
    applyEvents: () => void done.push('events'),
    endedByPublishedInstruction: (sid) => void done.push(`ended ${sid}`),
    signOut: ({ sid }, at) => void done.push(`sign-out ${sid} ${at}`),
    setAskable: (askable) => void done.push(`askable ${askable}`),
    unfollowed: (at) => void done.push(`unfollowed ${at}`),
    leave: () => void done.push('leave'),
    trusts: () => false,
    handle: () => undefined,
    mayUpgrade: () => false,
    upgrade: () => undefined,
    flush: () => undefined,
    close: async () => undefined,
  };
  const { outer, inner } = localPair<ToWorker, FromWorker>();
  const ended = Promise.withResolvers<void>();
  runWorker(inner, async () => plane, ended.resolve);
  const tell = async (...messages: ToWorker[]): Promise<string[]> => {
    for (const message of messages) outer.send(message);
    outer.send({ kind: 'drain', ms: 0 });
    await ended.promise;
    return done;
  };
  return tell;
}

const START: ToWorker = {
  kind: 'start',
  settings: {
    logLevel: 'error',
    logHttpHeaders: [],
    timeouts: { readHeader: 5000, read: 30_000, write: 60_000, idle: 120_000 },
    listen: { http: [], https: [], metrics: [], trustedProxyCidrs: [], strictPeers: undefined },
    outpost: { host: undefined, token: undefined, insecure: false, hostBrowser: undefined },
  },
  listen: [],
  reusePort: false,
  backChannel: { base: 'http://localhost:1/', token: 't', verifyTls: true },
};
const signedOut = (sid: string): ToWorker => ({
  kind: 'signed-out',
  signOut: { report: { provider: 1, sid, uid: 'u' }, at: 7 },
});
const CONFIGURE: ToWorker = { kind: 'configure', outpost: OUTPOST, providers: [], certificates: {} };

describe('runWorker', () => {
  it('applies sign-outs told before a configuration together with it, and later ones at once', async () => {
    const done = await worker()(START, signedOut('a'), signedOut('b'), CONFIGURE, signedOut('c'), CONFIGURE);
    assert.deepEqual(done, ['configure', 'sign-out a 7', 'sign-out b 7', 'turn', 'sign-out c 7', 'configure', 'turn']);
  });

  it('applies what is new to what it has, and keeps the rest as it is', async () => {
    const provider = (pk: number, name: string) => ({ pk, name, certificate: null }) as ProxyOutpostConfig;
    const seen: (readonly ProxyOutpostConfig[])[] = [];
    const change = (providers: ProxyOutpostConfig[], removed: number[] = []): ToWorker => ({
      kind: 'reconfigure',
      outpost: OUTPOST,
      change: { providers, removed, certificates: {} },
    });
    await worker((providers) => seen.push(providers))(
      START,
      { ...CONFIGURE, providers: [provider(1, 'a'), provider(2, 'b'), provider(3, 'c')] } as ToWorker,
      change([provider(2, 'other'), provider(4, 'd')], [3]),
      change([], [1, 9]),
    );
    const names = seen.map((providers) => providers.map(({ name }) => name));
    assert.deepEqual(names, [
      ['a', 'b', 'c'],
      ['a', 'other', 'd'],
      ['other', 'd'],
    ]);
    assert.equal(seen[1]?.[0], seen[0]?.[0], 'the very object');
  });
});
