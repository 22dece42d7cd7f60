import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { html, safeHref } from './html.ts';
import { denialPage, errorPage } from './message.ts';
import { applicationIcon, page } from './page.ts';
import { style, styleFile, styleHash } from './style.ts';
import { texts } from './texts.ts';

describe('html', () => {
  it('escapes values in text and attributes, and keeps nested markup', () => {
    const evil = `"><script>alert('x')</script>&\u0000`;
    const out = html`<p title="${evil}">${[html`<b>${1}</b>`, evil, false, undefined, null]}</p>`.text;
    const safe = '&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;';
    assert.equal(out, `<p title="${safe}"><b>1</b>${safe}</p>`);
  });

  it('lets only http, https and paths of this site become links', () => {
    assert.equal(safeHref('/if/user/?a=b'), '/if/user/?a=b');
    assert.equal(safeHref('https://app.example.test/x'), 'https://app.example.test/x');
    for (const bad of [
      'javascript:alert(1)',
      ' javascript:alert(1)',
      'data:text/html,x',
      '//evil.test',
      '/\\evil.test',
      '/\t/evil.test',
      'vbscript:x',
      '',
    ]) {
      assert.equal(safeHref(bad), undefined, bad);
    }
  });
});

describe('page', () => {
  it('is under 30 KB with its style inside, and allows exactly that style', () => {
    const { body, headers } = page({ title: 'T', body: html`<h1>T</h1>` });
    assert.ok(Buffer.byteLength(body) < 30_000, `${Buffer.byteLength(body)} bytes`);
    const inline = /<style>(.*?)<\/style>/s.exec(body)?.[1] ?? '';
    assert.equal(`'sha256-${createHash('sha256').update(inline).digest('base64')}'`, styleHash);
    assert.match(headers['Content-Security-Policy'] ?? '', /^default-src 'none'; style-src 'sha256-/);
    assert.doesNotMatch(headers['Content-Security-Policy'] ?? '', /script-src|unsafe/);
  });

  it('links the style sheet for the server, and allows a script by its hash only', () => {
    const { body, headers } = page({ title: 'T', body: html``, stylesheet: `/static/${styleFile}`, script: 'void 0' });
    assert.ok(!body.includes('<style>'));
    const hash = createHash('sha256').update('void 0').digest('base64');
    assert.ok(headers['Content-Security-Policy']?.includes(`script-src 'sha256-${hash}'`));
    assert.ok(headers['Content-Security-Policy']?.includes("style-src 'self'"));
    assert.throws(() => page({ title: 'T', body: html``, script: 'x="</script>"' }), TypeError);
  });

  it('shows an icon only from an address a picture may come from', () => {
    assert.equal(applicationIcon('Wiki', 'https://cdn.example.test/w.png').source, 'https://cdn.example.test');
    assert.equal(applicationIcon('Wiki', '/media/w.png').source, "'self'");
    assert.match(applicationIcon('wiki', 'javascript:x').element.text, />W</);
    assert.match(applicationIcon('', '').element.text, />·</);
  });
});

describe('messages', () => {
  it('an error names its code, what to do and the request', () => {
    const { body } = errorPage({ code: 'not-found', ...texts.errors['not-found'], requestId: 'r-1' });
    for (const part of ['not-found', texts.errors['not-found'].todo, 'r-1']) assert.ok(body.includes(part), part);
  });

  it('a denial names the person, what was asked for and why, escaped', () => {
    const { body } = denialPage({
      application: '<Wiki>',
      person: { name: 'Eve & Co', username: 'eve' },
      asked: 'https://wiki.example.test/',
      reasons: [texts.denied.reasons['group-required']],
      switchAccount: html`<b>${texts.denied.switch}</b>`,
      back: 'javascript:alert(1)',
    });
    assert.ok(body.includes('&lt;Wiki&gt;') && body.includes('Eve &amp; Co (eve)'));
    assert.deepEqual(body.match(/another account/gi), ['another account'], 'offered once, by the button');
    assert.ok(!body.includes('javascript:'));
  });
});

describe('style', () => {
  const colours = (css: string) =>
    new Map([...css.matchAll(/--([a-z-]+):(#[0-9a-f]{3,6})/g)].map((m) => [m[1] ?? '', m[2] ?? '']));
  const [light = '', dark = ''] = style.split('@media (prefers-color-scheme:dark)');

  it('keeps AA contrast in both themes', () => {
    for (const theme of [colours(light), colours(dark)]) {
      const pairs: [string, string, number][] = [
        ['text', 'page', 4.5],
        ['text', 'surface', 4.5],
        ['quiet', 'page', 4.5],
        ['quiet', 'surface', 4.5],
        ['accent', 'page', 4.5],
        ['accent', 'surface', 4.5],
        ['on-accent', 'accent', 4.5],
        ['on-accent', 'accent-strong', 4.5],
        ['bad', 'surface', 4.5],
        ['text', 'bad-wash', 4.5],
        ['text', 'look-wash', 4.5],
        ['edge', 'surface', 3],
        ['accent', 'good-wash', 4.5],
      ];
      for (const [front, back, least] of pairs) {
        const ratio = contrast(theme.get(front) ?? '', theme.get(back) ?? '');
        assert.ok(ratio >= least, `${front} on ${back}: ${ratio.toFixed(2)}`);
      }
    }
  });
});

/** WCAG 2.2 contrast ratio of two #rgb or #rrggbb colours. */
function contrast(a: string, b: string): number {
  const luminance = (hex: string) => {
    const full = hex.length === 4 ? hex.slice(1).replace(/./g, '$&$&') : hex.slice(1);
    const [r = 0, g = 0, b2 = 0] = [0, 2, 4].map((i) => {
      const c = Number.parseInt(full.slice(i, i + 2), 16) / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b2;
  };
  const [hi = 0, lo = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (hi + 0.05) / (lo + 0.05);
}
