/** A complete document of ours and the headers it must be sent with. */
import { createHash } from 'node:crypto';
import { html, safeHref, trusted } from './html.ts';
import type { Html } from './html.ts';
import { iconHref, mark } from './mark.ts';
import { style, styleHash } from './style.ts';
import { texts } from './texts.ts';

export interface PageOptions {
  title: string;
  /** content of `<main>` */
  body: Html;
  /** BCP 47, default `en` */
  lang?: string;
  /** shown in small print and searchable in the logs */
  requestId?: string | undefined;
  /** which server this is, in small print: usually its host name */
  serverLabel?: string | undefined;
  /** address of the style sheet; absent = inside the page (outposts, which cannot count on a second request) */
  stylesheet?: string | undefined;
  /** text of one inline script, allowed by its hash; it must not contain `</script` */
  script?: string | undefined;
  /** the script may ask this server */
  connect?: boolean;
  /** what requests from this page say about it; default: its address, to this server only */
  referrer?: 'origin';
  /** further CSP sources forms may lead to; a form's redirects count too (Chromium checks each hop) */
  formTargets?: readonly string[];
  /** further CSP sources of images: origins of application icons */
  imageSources?: readonly string[];
  /** at the right of the head line, e.g. who is signed in */
  head?: Html | undefined;
  /** a page of lists rather than one card */
  wide?: boolean;
}

export interface RenderedPage {
  body: string;
  headers: Record<string, string>;
}

/** Renders a page. The headers allow exactly what the page holds, and keep it out of every cache and frame. */
export function page(options: PageOptions): RenderedPage {
  const { stylesheet, script } = options;
  if (script !== undefined && /<\/script|<!--/i.test(script))
    throw new TypeError('an inline script may not hold </script');
  const styles =
    stylesheet === undefined
      ? trusted(`<style>${style}</style>`)
      : html`<link rel="stylesheet" href="${stylesheet}" />`;
  const document = html`<!doctype html>
<html lang="${options.lang ?? 'en'}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">
<title>${options.title} · ${texts.product}</title>
<link rel="icon" href="${iconHref}">
${styles}
</head>
<body${options.wide === true && trusted(' class="wide"')}>
<header class="top">${mark}<span>${texts.product}</span>${options.head && html`<div class="end">${options.head}</div>`}</header>
<main>
${options.body}
</main>
<footer>${options.serverLabel && html`<span>${options.serverLabel}</span>`}${
    options.requestId && html`<span>${texts.requestId} <code>${options.requestId}</code></span>`
  }</footer>
${script !== undefined && trusted(`<script>${script}</script>`)}
</body>
</html>
`;
  return {
    body: document.text,
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Cache-Control': 'no-store',
      'Content-Security-Policy': policy(options),
      'X-Content-Type-Options': 'nosniff',
      'X-Frame-Options': 'DENY',
      // not no-referrer: with it browsers send `Origin: null` with our own forms, which the origin check refuses
      'Referrer-Policy': options.referrer === 'origin' ? 'strict-origin' : 'same-origin',
    },
  };
}

function policy(options: PageOptions): string {
  const { script, connect, formTargets = [], imageSources = [] } = options;
  const directives = [
    "default-src 'none'",
    `style-src ${options.stylesheet === undefined ? styleHash : "'self'"}`,
    ['img-src data:', ...imageSources].join(' '),
    ["form-action 'self'", ...formTargets].join(' '),
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ];
  if (script !== undefined) {
    directives.push(`script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'`);
  }
  if (connect === true) directives.push("connect-src 'self'");
  return directives.join('; ');
}

/**
 * The icon of an application: its picture when the address is usable, else the first letter of its name.
 * @returns the element, and the CSP source the page must allow, if any
 */
export function applicationIcon(name: string, address: string): { element: Html; source: string | undefined } {
  const letter = [...name.trim()][0]?.toUpperCase() ?? '·';
  const plain = { element: html`<span class="icon" aria-hidden="true">${letter}</span>`, source: undefined };
  if (address === '') return plain;
  const src = /^data:image\/(png|jpeg|gif|webp|svg\+xml)[;,]/.test(address) ? address : safeHref(address);
  if (src === undefined) return plain;
  const element = html`<img class="icon" src="${src}" alt="" width="40" height="40" referrerpolicy="no-referrer" />`;
  const source = src.startsWith('data:') ? undefined : src.startsWith('/') ? "'self'" : new URL(src).origin;
  return { element, source };
}
