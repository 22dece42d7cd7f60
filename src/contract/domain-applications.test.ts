import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ApplicationsByAddress } from './domain-applications.ts';

interface Place {
  host: string;
  path: string;
}
const own: Place = { host: '', path: '/' };
const find = (places: Place[], host: string, ...readings: string[]) =>
  new ApplicationsByAddress(places, own)
    .find(host, readings.length === 0 ? undefined : readings)
    .map((place) => (place === own ? 'own' : place.path));

const SITE = ['/', '/wiki', '/wiki/admin', '/Files'].map((path) => ({ host: 'a.test', path }));
const PARTS = SITE.slice(1);

describe('applications by address', () => {
  const table: [string, Place[], string, string[], string[]][] = [
    ['another host', SITE, 'b.test', ['/wiki'], ['own']],
    ['a whole host', SITE.slice(0, 1), 'a.test', ['/any/thing'], ['/']],
    ['a whole host, path not known', SITE.slice(0, 1), 'a.test', [], ['/']],
    ['the longest path', SITE, 'a.test', ['/wiki/admin/x'], ['/wiki/admin']],
    ['the path itself', SITE, 'a.test', ['/wiki'], ['/wiki']],
    ['the path with a slash', SITE, 'a.test', ['/wiki/'], ['/wiki']],
    ['whole segments only', SITE, 'a.test', ['/wikipedia'], ['/']],
    ['whole segments only, deeper', SITE, 'a.test', ['/wiki/administration'], ['/wiki']],
    ['the rest of the host', SITE, 'a.test', ['/'], ['/']],
    ['the rest of a host without binding', PARTS, 'a.test', ['/x'], ['own']],
    ['a path not known: all of the host', PARTS, 'a.test', [], ['/wiki/admin', '/Files', '/wiki', 'own']],
    ['two readings', SITE, 'a.test', ['/x;/wiki', '/x', '/wiki/admin'], ['/', '/wiki/admin']],
    ['letters of another case', SITE, 'a.test', ['/WIKI/x'], ['/', '/wiki']],
    ['letters of another case, the other way', SITE, 'a.test', ['/files'], ['/', '/Files']],
    ['letters as bound', SITE, 'a.test', ['/Files/x'], ['/Files']],
  ];
  for (const [what, places, host, readings, expected] of table) {
    it(what, () => assert.deepEqual(find(places, host, ...readings), expected));
  }

  it('agree with a plain search, whatever the order and the addresses', () => {
    const segment = fc.constantFrom('a', 'A', 'b', 'ab', 'x');
    const path = fc.array(segment, { maxLength: 3 }).map((segments) => `/${segments.join('/')}`);
    const place = fc.record({ host: fc.constantFrom('a.test', 'b.test'), path });
    const places = fc.uniqueArray(place, { selector: ({ host, path: p }) => `${host}${p}`, maxLength: 8 });
    const covers = (p: Place, asked: string) => p.path === '/' || asked === p.path || asked.startsWith(`${p.path}/`);
    fc.assert(
      fc.property(places, fc.constantFrom('a.test', 'b.test', 'c.test'), path, (all, host, asked) => {
        const [longest = own] = all
          .filter((p) => p.host === host && covers(p, asked))
          .toSorted((x, y) => y.path.length - x.path.length);
        const found = new ApplicationsByAddress(all, own).find(host, [asked]);
        assert.equal(found[0], longest);
        // what else is named lies there too, in other letters
        for (const other of found.slice(1)) {
          assert.ok(other === own || covers({ ...other, path: other.path.toLowerCase() }, asked.toLowerCase()));
        }
        for (const hidden of find(all, host)) assert.ok(hidden === 'own' || all.some((p) => p.path === hidden));
      }),
    );
  });
});
