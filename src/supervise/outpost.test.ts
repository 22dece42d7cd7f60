import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { pino } from 'pino';
import type { OutpostInstance } from '../contract/api.ts';
import type { IdentityEventBatch } from '../contract/extension.ts';
import { testSettings } from '../settings/settings.test-helper.ts';
import { SealedFile } from './control/sealed-file.ts';
import type { KeptSignOut } from './control/sign-outs.ts';
import type { ToWorker } from './messages.ts';
import { Outpost } from './outpost.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'gatehouse-outpost-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const SETTINGS = testSettings(folder, { workers: 2 });
const SERVER = { base: 'http://localhost:1/', token: 't', verifyTls: true };
const OUTPOST: OutpostInstance = {
  pk: 'op-1',
  name: 'embedded',
  refresh_interval_s: 300,
  managed: null,
  config: { authentik_host: '', authentik_host_browser: '', authentik_host_insecure: false, log_level: 'info' },
};

describe('an outpost that starts again', () => {
  it('tells its first workers what ended sessions, before any configuration', async () => {
    const until = Date.now() + 3_600_000;
    const events: IdentityEventBatch = {
      epoch: 'e',
      snapshot: true,
      former: [{ epoch: 'd', n: 0 }],
      n: 1,
      events: [{ n: 1, until, kind: 'session-ended', sid: 'x' }],
    };
    const kept: KeptSignOut = { report: { provider: 1, sid: 's', uid: 'u' }, at: 5, until, told: true };
    const place = path.join(folder, 'outpost');
    await new SealedFile<KeptSignOut[]>(place, 'sign-outs.jwe').write([kept]);
    await new SealedFile(place, 'last-known-good.jwe').write({
      base: SERVER.base,
      configuration: { outpost: OUTPOST, providers: [] },
    });
    await new SealedFile(place, 'identity-events.jwe').write({
      base: SERVER.base,
      events,
      ends: [{ sid: 'ended', at: 4, until }],
    });

    const told: ToWorker[][] = [];
    const outpost = new Outpost({
      settings: SETTINGS,
      dataFolder: folder,
      server: SERVER,
      count: 2,
      reusePort: false,
      startWorker: () => {
        const mine: ToWorker[] = [];
        told.push(mine);
        const channel = {
          send: (m: ToWorker) => void mine.push(m),
          onMessage: () => undefined,
          onClose: () => undefined,
        };
        return { channel, pid: undefined, kill: () => undefined };
      },
      fallback: undefined,
      log: pino({ level: 'silent' }),
    });
    assert.equal(told.length, 0, 'no worker before the files are read');
    await outpost.start();
    await outpost.configured;
    await outpost.control?.close();
    assert.equal(told.length, 2);
    for (const [start, ...more] of told) {
      assert.equal(start?.kind, 'start');
      assert.deepEqual(more, [
        { kind: 'events', batch: events },
        { kind: 'session-ended', end: { sid: 'ended', at: 4, until } },
        { kind: 'signed-out', signOut: { report: kept.report, at: kept.at } },
        { kind: 'configure', outpost: OUTPOST, providers: [], certificates: {} },
        { kind: 'askable', askable: false },
      ]);
    }
  });
});
