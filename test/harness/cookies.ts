/** A cookie jar that keeps to RFC 6265 as far as browsers and these tests need it. */
interface Cookie {
  name: string;
  value: string;
  domain: string;
  hostOnly: boolean;
  path: string;
  secure: boolean;
  httpOnly: boolean;
  sameSite: string;
  /** epoch ms, Infinity for a session cookie */
  expires: number;
}

export class CookieJar {
  #cookies: Cookie[] = [];
  /** names this browser does not keep */
  refused: RegExp | undefined;

  /** Takes one Set-Cookie line that came from `url`. */
  store(url: URL, line: string): void {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
    const equals = pair.indexOf('=');
    if (equals < 1 || this.refused?.test(pair.slice(0, equals)) === true) return;
    const cookie: Cookie = {
      name: pair.slice(0, equals),
      value: pair.slice(equals + 1),
      domain: url.hostname,
      hostOnly: true,
      path: url.pathname.slice(0, url.pathname.lastIndexOf('/')) || '/',
      secure: false,
      httpOnly: false,
      sameSite: '',
      expires: Infinity,
    };
    let maxAge = false;
    for (const attribute of attributes) {
      const [key, value] = splitOnce(attribute, '=');
      const name = key.toLowerCase();
      if (name === 'path' && value.startsWith('/')) cookie.path = value;
      else if (name === 'secure') cookie.secure = true;
      else if (name === 'httponly') cookie.httpOnly = true;
      else if (name === 'samesite') cookie.sameSite = value.toLowerCase();
      else if (name === 'max-age') {
        maxAge = true;
        cookie.expires = Date.now() + Number(value) * 1000;
      } else if (name === 'expires' && !maxAge) cookie.expires = Date.parse(value);
      else if (name === 'domain' && value !== '') {
        cookie.domain = value.replace(/^\./, '').toLowerCase();
        cookie.hostOnly = false;
      }
    }
    if (!cookie.hostOnly && !within(url.hostname, cookie.domain)) return;
    if (cookie.secure && url.protocol !== 'https:') return;
    this.#cookies = this.#cookies.filter(
      (c) => !(c.name === cookie.name && c.domain === cookie.domain && c.path === cookie.path),
    );
    if (cookie.expires > Date.now()) this.#cookies.push(cookie);
  }

  /** Value of the Cookie header for `url`, empty when there is none. */
  header(url: URL): string {
    return this.for(url)
      .map((c) => `${c.name}=${c.value}`)
      .join('; ');
  }

  /** Cookies that would be sent to `url`. */
  for(url: URL): readonly Cookie[] {
    return this.#cookies.filter(
      (c) =>
        c.expires > Date.now() &&
        (c.hostOnly ? url.hostname === c.domain : within(url.hostname, c.domain)) &&
        (url.pathname === c.path || url.pathname.startsWith(c.path.endsWith('/') ? c.path : `${c.path}/`)) &&
        (!c.secure || url.protocol === 'https:'),
    );
  }

  /** Removes every cookie whose name matches. */
  forget(name: RegExp): void {
    this.#cookies = this.#cookies.filter((c) => !name.test(c.name));
  }

  clone(): CookieJar {
    const copy = new CookieJar();
    copy.#cookies = this.#cookies.map((c) => ({ ...c }));
    return copy;
  }
}

const within = (host: string, domain: string) => host === domain || host.endsWith(`.${domain}`);

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
