import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { pino } from 'pino';
import type { IdentityEventBatch } from '../../contract/extension.ts';
import { KeptState } from './kept-state.ts';
import type { Configuration } from './rest.ts';
import { SealedFile } from './sealed-file.ts';
import { SignOuts } from './sign-outs.ts';
import type { KeptSignOut } from './sign-outs.ts';

const root = mkdtempSync(path.join(tmpdir(), 'gatehouse-kept-'));
after(() => rmSync(root, { recursive: true, force: true }));

const CONFIGURATION = { outpost: { pk: 'op' }, providers: [], certificates: {} } as unknown as Configuration;
const EVENTS: IdentityEventBatch = { epoch: 'e', snapshot: true, n: 1, events: [] };

function kept(name: string, base = 'http://a/') {
  const folder = path.join(root, name);
  const told: { events: IdentityEventBatch | undefined } = { events: undefined };
  const log = pino({ level: 'silent' });
  const state = new KeptState({ folder, base, events: () => ({ events: told.events, ends: [] }), log });
  const file = (part: string) => path.join(folder, `${part}.jwe`);
  // a folder of that name is in the way of the file that is written first: as a full disk, for root too
  const full = (part: string) => mkdirSync(`${file(part)}.new`);
  const space = (part: string) => rmdirSync(`${file(part)}.new`);
  return { state, told, folder, file, full, space, log };
}

describe('the state that is kept', () => {
  it('has an events file from the first copy on, and is used with it only', async () => {
    const { state, file } = kept('first');
    await state.keepConfiguration(CONFIGURATION);
    assert.ok(existsSync(file('identity-events')));
    assert.deepEqual(await kept('first').state.load(true), {
      configuration: CONFIGURATION,
      events: undefined,
      ends: [],
    });
    assert.equal(await kept('first', 'http://b/').state.load(true), undefined, 'of another server');
    rmSync(file('identity-events'));
    assert.equal(await kept('first').state.load(true), undefined);
  });

  it('is not used beside a file that does not open', async () => {
    const { state, told, file } = kept('damaged');
    told.events = EVENTS;
    await state.keepConfiguration(CONFIGURATION);
    writeFileSync(file('identity-events'), 'half');
    assert.equal(await kept('damaged').state.load(true), undefined);

    await state.keepEvents();
    await state.keepConfiguration(CONFIGURATION);
    assert.deepEqual((await kept('damaged').state.load(true))?.events, EVENTS);
    writeFileSync(file('sign-outs'), 'half');
    const { folder, log, state: again } = kept('damaged');
    const signOuts = new SignOuts(new SealedFile<KeptSignOut[]>(folder, 'sign-outs.jwe'), async () => true, log);
    const open = await signOuts.load(Date.now());
    assert.equal(open, false);
    assert.equal(await again.load(open), undefined);
  });

  it('is taken away when an end cannot be written, and comes back with it', async () => {
    const { state, told, file, full, space } = kept('full');
    await state.keepConfiguration(CONFIGURATION);
    full('identity-events');
    told.events = EVENTS;
    await Promise.all([state.keepEvents(), state.keepEvents()]);
    assert.equal(existsSync(file('last-known-good')), false);
    await state.keepConfiguration(CONFIGURATION);
    assert.equal(existsSync(file('last-known-good')), false, 'a change of the configuration does not bring it back');
    assert.equal(await kept('full').state.load(true), undefined);
    space('identity-events');
    await state.keepEvents();
    assert.equal(state.complete, true);
    assert.deepEqual((await kept('full').state.load(true))?.events, EVENTS);
  });

  it('is taken away when a sign-out cannot be written, and comes back with it', async () => {
    const { state, folder, file, full, space, log } = kept('sign-outs');
    await state.keepConfiguration(CONFIGURATION);
    const saving: Promise<void>[] = [];
    const own = new SealedFile<KeptSignOut[]>(folder, 'sign-outs.jwe');
    const never = () => new Promise<boolean>(() => undefined);
    const signOuts = new SignOuts(own, never, log, (ok) => {
      saving.push(state.signOuts(ok));
    });
    const save = async () => {
      saving.length = 0;
      signOuts.save();
      while (saving.length === 0) await new Promise((resolve) => setImmediate(resolve));
      await Promise.all(saving);
    };
    signOuts.add({ provider: 1, sid: 's', uid: 'u' }, 3600, Date.now());
    await save();
    full('sign-outs');
    await save();
    assert.equal(existsSync(file('last-known-good')), false);
    await state.keepConfiguration(CONFIGURATION);
    assert.equal(existsSync(file('last-known-good')), false);
    space('sign-outs');
    await save();
    assert.ok(existsSync(file('last-known-good')));
  });
});
