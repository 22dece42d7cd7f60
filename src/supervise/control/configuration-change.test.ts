import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { OutpostInstance, ProxyOutpostConfig } from '../../contract/api.ts';
import { applyChange, differenceOf } from './configuration-change.ts';
import type { Configuration } from './rest.ts';

const OUTPOST: OutpostInstance = {
  pk: 'op',
  name: 'out',
  refresh_interval_s: 300,
  managed: null,
  config: { authentik_host: '', authentik_host_browser: '', authentik_host_insecure: false, log_level: 'info' },
};
const provider = (pk: number, certificate: string | null = null) => ({ pk, certificate }) as ProxyOutpostConfig;
const pair = (certificate: string) => ({ certificate, key: 'k' });

describe('what is new in a configuration', () => {
  const [one, two, three] = [provider(1), provider(2, 'x'), provider(3, 'y')];
  const [x, y] = [pair('x'), pair('y')];
  const before: Configuration = { outpost: OUTPOST, providers: [one, two, three], certificates: { x, y } };

  it('is nothing when the objects are the same, whatever their order', () => {
    const after = { outpost: { ...OUTPOST }, providers: [three, one, two], certificates: { y, x } };
    assert.equal(differenceOf(before, after), undefined);
  });

  it('is what was added, changed or taken away, and the outpost itself', () => {
    const [other, four] = [provider(2, 'z'), provider(4)];
    const z = pair('z');
    const after = { outpost: OUTPOST, providers: [one, other, four], certificates: { z } };
    const change = differenceOf(before, after);
    assert.deepEqual(change, { providers: [other, four], removed: [3], certificates: { z } });
    assert.deepEqual(applyChange(before, change!), { providers: [one, other, four], certificates: { z } });
    const renamed = differenceOf(before, { ...before, outpost: { ...OUTPOST, name: 'other' } });
    assert.deepEqual(renamed, { providers: [], removed: [], certificates: {} });
  });

  it('is a certificate alone, when it is another of the same name', () => {
    const change = differenceOf(before, { ...before, certificates: { x: pair('new'), y } });
    assert.deepEqual(change, { providers: [], removed: [], certificates: { x: pair('new') } });
    assert.deepEqual(applyChange(before, change!).certificates, { x: pair('new'), y });
  });
});
