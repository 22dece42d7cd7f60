/**
 * A visitor with a cookie jar. Every name leads to the product; redirects are followed one by one and recorded.
 */
import assert from 'node:assert/strict';
import { forms } from '../../harness/forms.ts';
import { all, ask, one, story, type Answer, type Pair } from './ask.ts';

export interface Cookie {
  name: string;
  value: string;
  /** attribute names in lower case; flags have an empty value */
  attributes: Map<string, string>;
}

/** One step of a journey. */
export interface Hop {
  url: string;
  answer: Answer;
}

export class Browser {
  readonly port: number;
  readonly from: string;
  /** host name, or domain with a dot in front -> cookie name -> cookie */
  readonly jar: Map<string, Map<string, Cookie>>;

  constructor(port: number, from = '127.0.0.1', jar = new Map<string, Map<string, Cookie>>()) {
    this.port = port;
    this.from = from;
    this.jar = jar;
  }

  /** The same browser with a copy of its cookies as they are now. */
  copy(): Browser {
    return new Browser(this.port, this.from, new Map([...this.jar].map(([host, cookies]) => [host, new Map(cookies)])));
  }

  cookies(host: string): Cookie[] {
    const name = nameOf(host);
    const own = [...(this.jar.get(name) ?? new Map<string, Cookie>()).values()];
    const shared = [...this.jar].filter(([key]) => key.startsWith('.') && `.${name}`.endsWith(key));
    return [...own, ...shared.flatMap(([, cookies]) => [...cookies.values()])];
  }

  /** The Cookie header for a host, empty without cookies. */
  cookieHeader(host: string): string {
    return this.cookies(host)
      .map((c) => `${c.name}=${c.value}`)
      .join('; ');
  }

  /** The cookies a provider's sessions are kept in, without those of sign-in attempts. */
  sessionCookies(host: string): Cookie[] {
    return this.cookies(host).filter((c) => /^authentik_proxy_[0-9a-f]{8}(_\d+)?$/.test(c.name));
  }

  /** One request of a top-level navigation, nothing followed. */
  async visit(
    url: string,
    extra: readonly Pair[] = [],
    method = 'GET',
    form?: Record<string, string>,
  ): Promise<Answer> {
    const { host, path } = split(url);
    // an https address that names its port is really spoken to in TLS: that is nginx
    const own = /:(\d+)$/.exec(host)?.[1];
    const tls = url.startsWith('https:') && own !== undefined;
    const cookie = this.cookieHeader(host);
    const headers: Pair[] = [
      ['Accept', 'text/html,application/xhtml+xml'],
      ['Sec-Fetch-Mode', 'navigate'],
      ['Sec-Fetch-Dest', 'document'],
      ...(cookie === '' ? [] : [['Cookie', cookie] as const]),
      ...(form === undefined ? [] : [['Content-Type', 'application/x-www-form-urlencoded'] as const]),
      ...extra,
    ];
    const body = form === undefined ? undefined : new URLSearchParams(form).toString();
    const answer = await ask({
      port: tls ? Number(own) : this.port,
      tls,
      method,
      path,
      host,
      headers,
      from: this.from,
      ...(body === undefined ? {} : { body }),
    });
    this.keep(host, answer);
    return answer;
  }

  /** Follows redirects from a URL. @returns every URL visited with its answer, in order */
  async follow(url: string, most = 15): Promise<Hop[]> {
    const hops: Hop[] = [];
    let next: string | undefined = url;
    while (next !== undefined && hops.length < most) {
      const answer: Answer = await this.visit(next);
      hops.push({ url: next, answer });
      const location = answer.status >= 300 && answer.status < 400 ? one(answer, 'location') : '';
      next = location === '' ? undefined : new URL(location, next).href;
    }
    return hops;
  }

  /** Posts the form of a page as a browser would: hidden fields included, Origin set. */
  async submit(page: Hop, fields: Record<string, string>, extra?: readonly Pair[]): Promise<Answer> {
    const name = Object.keys(fields)[0] ?? '';
    const form = forms(page.answer.text).find((f) => name === '' || f.inputs.has(name));
    assert.ok(form, `no form to fill in: ${story(page.answer)}`);
    const url = new URL(form.action === '' ? page.url : form.action, page.url).href;
    const kept = Object.fromEntries([...form.inputs].map(([input, { value }]) => [input, value]));
    const same: Pair[] = [
      ['Origin', new URL(page.url).origin],
      ['Sec-Fetch-Site', 'same-origin'],
    ];
    return this.visit(url, extra ?? same, 'POST', { ...kept, ...fields });
  }

  /** Opens a protected page and signs in with name and password. @returns all hops; the last one is the page asked for */
  async signIn(url: string, username: string, password: string): Promise<Hop[]> {
    const hops = await this.follow(url);
    const login = hops.at(-1);
    assert.ok(login, `no answer from ${url}`);
    if (!/name="password"/.test(login.answer.text)) return hops;
    const posted = await this.submit(login, { username, password });
    assert.ok(posted.status >= 300 && posted.status < 400, `sign-in of ${username} failed: ${story(posted)}`);
    const next = new URL(one(posted, 'location'), login.url).href;
    return [...hops, { url: login.url, answer: posted }, ...(await this.follow(next))];
  }

  private keep(host: string, answer: Answer): void {
    for (const line of all(answer, 'set-cookie')) {
      const cookie = parseSetCookie(line);
      const domain = cookie.attributes.get('domain');
      // as browsers do: a cookie for a domain the host is not below is none
      if (domain !== undefined && !`.${nameOf(host)}`.endsWith(`.${domain}`)) continue;
      const place = domain === undefined ? nameOf(host) : `.${domain}`;
      const cookies = this.jar.get(place) ?? new Map<string, Cookie>();
      const over =
        cookie.attributes.get('max-age') === '0' || (cookie.value === '' && cookie.attributes.has('expires'));
      if (over) cookies.delete(cookie.name);
      else cookies.set(cookie.name, cookie);
      this.jar.set(place, cookies);
    }
  }
}

export function parseSetCookie(line: string): Cookie {
  const [pair = '', ...rest] = line.split(';').map((part) => part.trim());
  const at = pair.indexOf('=');
  const attributes = new Map(
    rest.map((part) => {
      const [name = '', ...value] = part.split('=');
      return [name.toLowerCase(), value.join('=')] as const;
    }),
  );
  return { name: pair.slice(0, at), value: pair.slice(at + 1), attributes };
}

/** Host header and request target of a URL, the target as written (never normalised). */
export function split(url: string): { host: string; path: string } {
  const match = /^https?:\/\/([^/?#]+)([^#]*)/.exec(url);
  assert.ok(match, `not an http(s) address: ${url}`);
  const path = match[2] ?? '';
  return { host: match[1] ?? '', path: path.startsWith('/') ? path : `/${path}` };
}

const nameOf = (host: string) => host.replace(/:\d+$/, '').toLowerCase();
