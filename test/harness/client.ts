import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Agent, request } from 'undici';
import { CookieJar } from './cookies.ts';
import { forms, hasPasswordField } from './forms.ts';
import type { Form } from './forms.ts';

/** One step of a journey. */
export interface Hop {
  method: string;
  url: string;
  status: number;
  location: string | undefined;
  setCookies: string[];
}

/** An answer, and how the client got there. */
export interface Page {
  url: URL;
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  text: string;
  hops: Hop[];
}

export interface RequestOptions {
  headers?: Record<string, string | string[]>;
  body?: string | Buffer;
}

const NAVIGATION: Readonly<Record<string, string>> = {
  accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-site': 'none',
  'sec-fetch-user': '?1',
  'upgrade-insecure-requests': '1',
  'user-agent': 'Mozilla/5.0 (tests)',
};
const MAX_HOPS = 20;

/** A small browser without a screen: cookie jar, redirects step by step, forms. */
export class Client {
  readonly jar: CookieJar;
  readonly #agent: Agent;

  /** @param where the address a name leads to: one for all, or told by the name */
  constructor(where: string | ((name: string) => string) = '127.0.0.1', jar = new CookieJar()) {
    this.jar = jar;
    const resolve = typeof where === 'string' ? () => where : where;
    this.#agent = new Agent({
      connections: 64,
      connect: {
        timeout: 30_000,
        rejectUnauthorized: false,
        lookup: (name, options, done) => {
          const address = resolve(name);
          if (options.all === true) done(null, [{ address, family: 4 }]);
          else done(null, address, 4);
        },
      },
    });
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }

  /** Sends one request with the cookies of the jar and takes the cookies of the answer; follows nothing. */
  async send(method: string, target: string | URL, options: RequestOptions = {}): Promise<Page> {
    const url = new URL(target);
    const cookie = this.jar.header(url);
    const answer = await request(url, {
      method,
      dispatcher: this.#agent,
      headers: { ...(cookie === '' ? {} : { cookie }), ...options.headers },
      body: options.body ?? null,
      headersTimeout: 60_000,
    });
    const setCookies = [answer.headers['set-cookie'] ?? []].flat();
    for (const line of setCookies) this.jar.store(url, line);
    const location = answer.headers['location'];
    const hop: Hop = {
      method,
      url: url.href,
      status: answer.statusCode,
      location: Array.isArray(location) ? location[0] : location,
      setCookies,
    };
    return { url, status: answer.statusCode, headers: answer.headers, text: await answer.body.text(), hops: [hop] };
  }

  /** Opens an address as a person does in a browser, following redirects. @throws after 20 steps */
  async open(target: string | URL, options: RequestOptions = {}): Promise<Page> {
    return this.#follow(
      await this.send('GET', target, { ...options, headers: { ...NAVIGATION, ...options.headers } }),
      options,
    );
  }

  /** A fetch() of a page's script: no navigation, nothing followed. */
  background(method: string, target: string | URL, options: RequestOptions = {}): Promise<Page> {
    return this.send(method, target, {
      ...options,
      headers: { accept: '*/*', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', ...options.headers },
    });
  }

  /** Submits a form of the page and follows. Without `pick` the first form is taken. */
  async submit(page: Page, fields: Record<string, string>, pick: (form: Form) => boolean = () => true): Promise<Page> {
    const form = forms(page.text).find(pick);
    if (form === undefined) throw new Error(`no such form on ${page.url.href} (${page.status})\n${page.text}`);
    const values = new URLSearchParams();
    for (const [name, input] of form.inputs) values.set(name, fields[name] ?? input.value);
    const target = new URL(form.action === '' ? page.url.href : form.action, page.url);
    const headers = { ...NAVIGATION, origin: page.url.origin, referer: page.url.href, 'sec-fetch-site': 'same-origin' };
    if (form.method === 'GET') {
      target.search = values.toString();
      return this.#follow(await this.send('GET', target, { headers }));
    }
    return this.#follow(
      await this.send('POST', target, {
        headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
        body: values.toString(),
      }),
    );
  }

  /** Fills in the login form of `page`. @returns where that leads to, with the hops from there on */
  async login(page: Page, username: string, password: string): Promise<Page> {
    if (!hasPasswordField(page.text)) {
      throw new Error(`no password field on ${page.url.href} (${page.status})\n${trace(page)}\n${page.text}`);
    }
    return this.submit(page, { username, password }, (form) => form.inputs.has('password'));
  }

  /** Opens an address that demands a login and signs in. */
  async enter(target: string | URL, username: string, password: string): Promise<Page> {
    return this.login(await this.open(target), username, password);
  }

  async #follow(first: Page, options: RequestOptions = {}): Promise<Page> {
    let page = first;
    const hops = [...first.hops];
    while ([301, 302, 303, 307, 308].includes(page.status)) {
      const location = page.hops.at(-1)?.location;
      if (location === undefined) break;
      if (hops.length > MAX_HOPS) throw new Error(`more than ${MAX_HOPS} redirects\n${trace({ ...page, hops })}`);
      const previous = page.hops.at(-1)!.method;
      const method = page.status >= 307 || previous === 'HEAD' ? previous : 'GET';
      page = await this.send(method, new URL(location, page.url), { headers: { ...NAVIGATION, ...options.headers } });
      hops.push(...page.hops);
    }
    return { ...page, hops };
  }
}

/** The steps of a journey, one per line, for messages. */
export function trace(page: Page): string {
  return page.hops.map((h) => `${h.method} ${h.url} -> ${h.status} ${h.location ?? ''}`).join('\n');
}

/** A server that should close a connection and does not is given up after this silence. */
const SILENCE_MS = 30_000;

/**
 * Sends bytes as they are and reads until the server closes: ask for that (`Connection: close`).
 * For requests no HTTP client would make.
 */
export function rawExchange(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.setTimeout(SILENCE_MS, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.once('error', reject);
    socket.once('close', () => resolve(text));
  });
}

/**
 * The same over TLS: one request, for what no HTTP client would write into its first line.
 * @param line without the line end
 */
export function rawExchangeTls(
  port: number,
  servername: string,
  line: string,
  headers: Readonly<Record<string, string>>,
): Promise<string> {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, servername, rejectUnauthorized: false }, () =>
      socket.write([line, ...lines, 'Connection: close', '', ''].join('\r\n')),
    );
    let text = '';
    socket.setTimeout(SILENCE_MS, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.once('error', reject);
    socket.once('close', () => resolve(text));
  });
}
