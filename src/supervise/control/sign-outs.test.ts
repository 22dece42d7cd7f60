import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { pino } from 'pino';
import type { SignOutReport } from '../../contract/extension.ts';
import { UnexpectedAnswer } from '../back-channel.ts';
import { reportSignOut } from './rest.ts';
import { SealedFile } from './sealed-file.ts';
import { SignOuts } from './sign-outs.ts';
import type { KeptSignOut } from './sign-outs.ts';
import { until } from './until.test-helper.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'gatehouse-control-'));
after(() => rmSync(folder, { recursive: true }));
const log = pino({ level: 'silent' });

describe('SealedFile', () => {
  it('keeps nothing, and finds nothing, where there is no folder', async () => {
    const file = new SealedFile<string>(undefined, 'x.jwe');
    await file.write('one');
    assert.equal(await file.read(), undefined);
  });

  it('gives back what was written, unreadable for others, and nothing after tampering or under another name', async () => {
    const place = path.join(folder, 'sealed');
    const file = new SealedFile<{ secret: string }>(place, 'x.jwe');
    assert.equal(await file.read(), undefined);
    await Promise.all([file.write({ secret: 'one' }), file.write({ secret: 'cookie-secret-in-clear' })]);
    const name = path.join(place, 'x.jwe');
    assert.deepEqual(await new SealedFile(place, 'x.jwe').read(), { secret: 'cookie-secret-in-clear' });
    assert.equal(statSync(name).mode & 0o777, 0o600);
    assert.equal(statSync(path.join(place, 'files.key')).mode & 0o777, 0o600);
    const text = readFileSync(name, 'utf8');
    assert.ok(!text.includes('cookie-secret'));
    writeFileSync(path.join(place, 'y.jwe'), text);
    assert.equal(await new SealedFile(place, 'y.jwe').read(), undefined);
    writeFileSync(name, text.slice(0, -3) + (text.endsWith('AAA') ? 'BBB' : 'AAA'));
    assert.equal(await file.read(), undefined);
  });
});

describe('SignOuts', () => {
  const report = (sid: string): SignOutReport => ({ provider: 1, sid, uid: 'u' });
  const make = (name: string, tell: (report: SignOutReport) => Promise<boolean>) =>
    new SignOuts(new SealedFile<KeptSignOut[]>(path.join(folder, name), 's.jwe'), tell, log);

  it('tells the server until it has each one, over a restart too, and then keeps them for workers', async () => {
    const down = make('signouts', () => Promise.reject(new Error('down')));
    const now = Date.now();
    assert.deepEqual(down.add(report('a'), 3600, now), { report: report('a'), at: now });
    down.add(report('b'), 3600, now);
    const kept = new SealedFile<KeptSignOut[]>(path.join(folder, 'signouts'), 's.jwe');
    while ((await kept.read())?.length !== 2) await new Promise((resolve) => setTimeout(resolve, 10));
    down.close();

    const told: string[] = [];
    const up = make('signouts', async ({ sid }) => (told.push(sid), true));
    await up.load(now + 1000);
    assert.deepEqual(
      up.live().map(({ report: { sid } }) => sid),
      ['a', 'b'],
    );
    await up.tellAll();
    await up.tellAll();
    assert.deepEqual(told, ['a', 'b']);
    assert.equal(up.live().length, 2);
    await new Promise((resolve) => setTimeout(resolve, 50));

    const later = make('signouts', () => assert.fail('was told already'));
    await later.load(now + 3600_000 + 1);
    assert.deepEqual(later.live(), []);
  });

  it('tells the others when the server does not take one, and that one again later', async () => {
    const told: string[] = [];
    let refuses = true;
    const tell = async ({ sid }: SignOutReport) => {
      told.push(sid);
      if (sid === 'a' && refuses) throw new UnexpectedAnswer('sign-out', 500);
      return true;
    };
    const signOuts = make('refused', tell);
    for (const sid of ['a', 'b', 'c']) signOuts.add(report(sid), 3600, Date.now());
    await until(() => told.includes('c'), 'the last is told');
    assert.deepEqual(told, ['a', 'b', 'c']);
    refuses = false;
    await until(() => told.length > 3, 'the first again');
    signOuts.close();
    assert.deepEqual(told, ['a', 'b', 'c', 'a']);
  });

  it('asks a server that is not there once, not once for each', async () => {
    let asked = 0;
    const signOuts = make('nobody', () => (asked++, Promise.reject(new TypeError('fetch failed'))));
    for (const sid of ['a', 'b', 'c']) signOuts.add(report(sid), 3600, Date.now());
    await until(() => asked > 0, 'asked');
    await new Promise((resolve) => setTimeout(resolve, 100));
    signOuts.close();
    assert.equal(asked, 1);
  });
});

describe('reportSignOut', () => {
  const tell = (signOut: number, instances: number) =>
    reportSignOut(
      (async (address: string) =>
        new Response(null, { status: address.includes('sign_out') ? signOut : instances })) as typeof fetch,
      { provider: 1, sid: 's', uid: 'u' },
    );

  it('knows what the server will never take from what it may take later', async () => {
    assert.equal(await tell(204, 200), true);
    for (const never of [400, 404, 405]) assert.equal(await tell(never, 403), false, String(never));
    assert.equal(await tell(403, 200), false, 'the provider is not ours any more');
    for (const later of [401, 429, 500, 503]) await assert.rejects(tell(later, 200), UnexpectedAnswer);
    await assert.rejects(tell(403, 403), UnexpectedAnswer, 'the token is not valid: told when it is');
  });
});
