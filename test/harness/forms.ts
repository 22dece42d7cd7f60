/** Reads the forms of server-rendered pages as far as a test has to fill them in. */
export interface Form {
  action: string;
  method: string;
  /** inputs by name, with the value they have */
  inputs: Map<string, { type: string; value: string }>;
}

export function forms(html: string): Form[] {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, attributes = '', body = '']) => {
    const form = attributesOf(attributes);
    const inputs = new Map<string, { type: string; value: string }>();
    for (const [, text = ''] of body.matchAll(/<(?:input|button)\b([^>]*)>/gi)) {
      const input = attributesOf(text);
      const name = input.get('name');
      if (name !== undefined) inputs.set(name, { type: input.get('type') ?? 'text', value: input.get('value') ?? '' });
    }
    return { action: form.get('action') ?? '', method: (form.get('method') ?? 'get').toUpperCase(), inputs };
  });
}

/** Targets of all links of a page. */
export function links(html: string): { href: string; text: string }[] {
  return [...html.matchAll(/<a\b([^>]*)>([\s\S]*?)<\/a>/gi)].map(([, attributes = '', body = '']) => ({
    href: attributesOf(attributes).get('href') ?? '',
    text: unescape(body.replace(/<[^>]*>/g, '')).trim(),
  }));
}

export const hasPasswordField = (html: string): boolean =>
  forms(html).some((form) => form.inputs.get('password')?.type === 'password');

function attributesOf(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, name = '', double, single, bare] of text.matchAll(
    /([a-z][a-z0-9-]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/gi,
  )) {
    found.set(name.toLowerCase(), unescape(double ?? single ?? bare ?? ''));
  }
  return found;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescape(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|([a-z]+));/gi, (all, hex, decimal, name) => {
    if (hex !== undefined) return String.fromCodePoint(parseInt(String(hex), 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return ENTITIES[String(name).toLowerCase()] ?? String(all);
  });
}
