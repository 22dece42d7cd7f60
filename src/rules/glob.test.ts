import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { globProblem, globToRegex } from './glob.ts';
import { PatternSet } from './patterns.ts';

const fits = (glob: string, path: string) => new PatternSet([globToRegex(glob)]).matches(path).length === 1;

/** What a glob means, said another way: segment by segment, trying everything. */
function meant(glob: string, path: string): boolean {
  const tidy = (text: string) => text.replace(/\/$/, '').split('/');
  return segments(tidy(glob), tidy(path), true);
}
function segments(glob: string[], path: string[], first: boolean): boolean {
  const [head, ...rest] = glob;
  if (head === undefined) return path.length === 0;
  if (head === '**' && !first) return path.some((_, i) => segments(rest, path.slice(i), false)) || segments(rest, [], false);
  const [segment, ...after] = path;
  if (segment === undefined) return false;
  return (head === '*' ? segment !== '' : chars(head, segment)) && segments(rest, after, false);
} // prettier-ignore
function chars(glob: string, text: string): boolean {
  if (glob === '') return text === '';
  if (glob[0] === '*') return chars(glob.slice(1), text) || (text !== '' && chars(glob, text.slice(1)));
  return glob[0] === text[0] && chars(glob.slice(1), text.slice(1));
}

describe('globs', () => {
  const cases: [string, string[], string[]][] = [
    ['/', ['/'], ['/a', '//a']],
    ['/admin', ['/admin', '/admin/'], ['/admin/x', '/administrator', '/x/admin', '/Admin']],
    ['/admin/', ['/admin', '/admin/'], ['/admin/x']],
    ['/admin/**', ['/admin', '/admin/', '/admin/x', '/admin/x/y/'], ['/administrator', '/x/admin/']],
    ['/admin/*', ['/admin/x', '/admin/x/'], ['/admin', '/admin/', '/admin/x/y']],
    ['/a/*/c', ['/a/b/c'], ['/a/c', '/a/b/b/c', '/a//c']],
    ['/a/**/c', ['/a/c', '/a/b/c', '/a/b/b/c'], ['/a/b', '/ac', '/a/bc']],
    ['/**', ['/', '/a', '/a/b/c.d'], []],
    ['**', ['/', '/a/b'], []],
    ['/**/*.css', ['/x.css', '/a/b/x.css'], ['/x.css.map', '/x.css/y']],
    ['**.css', ['/x.css', '/a/b.css'], ['/x.css/y']],
    ['/v*/x', ['/v/x', '/v12/x'], ['/v1/2/x']],
    ['/a.b+(c)^$|', ['/a.b+(c)^$|'], ['/aXb+(c)^$|']],
    ['/café ö', ['/café ö'], ['/cafe ö']],
  ];
  for (const [glob, yes, no] of cases) {
    it(glob, () => {
      assert.equal(globProblem(glob), undefined);
      for (const path of yes) assert.ok(fits(glob, path), `${glob} fits ${path}`);
      for (const path of no) assert.ok(!fits(glob, path), `${glob} does not fit ${path}`);
    });
  }

  it('refuses what means more elsewhere', () => {
    for (const glob of ['', 'admin', '*', '/a?', '/a?b=c', '/{a,b}', '/[ab]', '/a\\*', '/***', '/a%20b', '/a#b', '/a/../b', '/.']) {
      assert.ok(globProblem(glob) !== undefined, glob);
    } // prettier-ignore
  });

  it('means what it says', () => {
    const glob = fc.array(fc.constantFrom('/', 'a', 'b', '*', '/**/', '/*/', '.'), { maxLength: 8 }).map((p) => `/${p.join('')}`);
    const path = fc.array(fc.constantFrom('/', 'a', 'b', 'ab', '.'), { maxLength: 8 }).map((p) => `/${p.join('')}`);
    fc.assert(
      fc.property(glob, path, (g, p) => {
        if (globProblem(g) !== undefined || /\*\*[^/]|[^/]\*\*|\/\//.test(`${g}${p}`)) return;
        assert.equal(fits(g, p), meant(g, p), `${g} ${p}`);
      }),
      { numRuns: 3000 },
    );
  }); // prettier-ignore

  it('takes linear time', () => {
    const set = new PatternSet([globToRegex(`/${'*a'.repeat(200)}`), globToRegex(`/**${'/**/a'.repeat(20)}`)]);
    const times = [1, 2, 3].map(() => {
      const started = performance.now();
      assert.deepEqual(set.matches(`/${'a/'.repeat(4000)}b`), []);
      assert.deepEqual(set.matches(`/${'a'.repeat(8000)}b`), []);
      return performance.now() - started;
    });
    assert.ok(Math.min(...times) < 2000, `${times.join(', ')} ms`);
  });
});
