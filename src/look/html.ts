/**
 * HTML that is escaped unless it says otherwise: `html\`<p>${name}</p>\`` escapes `name`.
 *
 * Values may stand in text and in quoted attribute values only. Addresses that end in `href` or `src` go through
 * {@link safeHref}, since escaping alone lets `javascript:` pass.
 */

/** Finished HTML. Only {@link html} and {@link trusted} make it, so a plain string never passes for markup. */
export class Html {
  readonly text: string;

  /** @param text markup already safe to send */
  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}

/** `undefined`, `null` and `false` render as nothing, so that `cond && html\`…\`` reads well. */
export type HtmlValue = Html | string | number | false | null | undefined | readonly HtmlValue[];

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

/** Escapes text for element content and quoted attribute values. NUL, which no HTML document may hold, is dropped. */
export function escapeHtml(text: string): string {
  return text.replaceAll('\u0000', '').replace(/[&<>"'`]/g, (c) => ESCAPES[c] ?? '');
}

/** Template tag: literal parts as written, values escaped. */
export function html(strings: TemplateStringsArray, ...values: HtmlValue[]): Html {
  let text = strings[0] ?? '';
  values.forEach((value, i) => {
    text += render(value) + (strings[i + 1] ?? '');
  });
  return new Html(text);
}

/** Marks a constant of our own code as markup. Never for anything that came from outside. */
export function trusted(text: string): Html {
  return new Html(text);
}

function render(value: HtmlValue): string {
  if (value === undefined || value === null || value === false) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'string') return escapeHtml(value);
  if (typeof value === 'number') return String(value);
  return value.map(render).join('');
}

/**
 * An address fit for `href`: http, https or a path of this site.
 * @param address as configured or received
 * @returns the address as the URL parser reads it, or `undefined` when it is anything else (`javascript:`, `data:`)
 */
export function safeHref(address: string): string | undefined {
  if (/^\/(?![/\\])/.test(address) && !/[^!-\u{10ffff}]/u.test(address) && !address.includes('\\')) return address;
  const url = URL.parse(address);
  return url !== null && (url.protocol === 'http:' || url.protocol === 'https:') ? url.href : undefined;
}
