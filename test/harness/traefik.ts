/**
 * Stands in for Traefik: reads the dynamic configuration people write for it and does what its entry point, router and
 * forwardAuth middleware do with it (spec/outpost.md 20.2; pkg/middlewares/auth/forward.go of Traefik 3).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parse, stringify } from 'yaml';
import { askWhole, endToEnd, named, pairsOf, passOn, relay, set, TlsListener } from './relay.ts';
import type { Pair, Whole } from './relay.ts';

interface ForwardAuth {
  address: string;
  trustForwardHeader?: boolean;
  authResponseHeaders?: string[];
  authResponseHeadersRegex?: string;
  /** names of cookies that reach the visitor beside the application's answer */
  addAuthCookiesToResponse?: string[];
}

interface Router {
  rule: string;
  priority?: number;
  service: string;
  middlewares?: string[];
}

interface Dynamic {
  http: {
    routers: Record<string, Router>;
    middlewares?: Record<string, { forwardAuth?: ForwardAuth; headers?: unknown }>;
    services: Record<string, { loadBalancer: { servers: { url: string }[] } }>;
  };
}

/** What the entry point takes from everybody it was not told to trust. */
const FORWARDED = (
  'x-forwarded-proto x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-server x-forwarded-uri ' +
  'x-forwarded-method x-forwarded-prefix x-forwarded-tls-client-cert x-forwarded-tls-client-cert-info x-real-ip'
).split(' ');

/** Go's regular expressions write this flag in the pattern. */
const regexp = (pattern: string) => new RegExp(pattern.replace(/^\(\?i\)/, ''), pattern.startsWith('(?i)') ? 'i' : '');

export class TraefikDouble {
  readonly #http: Dynamic['http'];
  #listener: TlsListener | undefined;
  /** questions asked, as method and headers, newest last */
  readonly questions: { address: string; headers: Pair[]; answer: number }[] = [];

  private constructor(configuration: Dynamic) {
    this.#http = configuration.http;
  }

  /** @param yaml dynamic configuration of the file provider */
  static async start(port: number, yaml: string): Promise<TraefikDouble> {
    const traefik = new TraefikDouble(parse(yaml) as Dynamic);
    traefik.#listener = await TlsListener.start(port, (req, res) => traefik.#answer(req, res));
    return traefik;
  }

  log = (): string => `--- Traefik ---\n${this.#listener?.log() ?? ''}`;
  stop = async (): Promise<void> => this.#listener?.stop();

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const router = this.#route(req);
    if (router === undefined) return void res.writeHead(404).end('404 page not found\n');
    let headers = this.#entryPoint(req);
    let more: Pair[] = [];
    for (const name of router.middlewares ?? []) {
      const { forwardAuth } = this.#http.middlewares?.[name] ?? {};
      if (forwardAuth === undefined) throw new TypeError(`middleware ${name} is none this stand-in knows`);
      const answer = await this.#ask(forwardAuth, req, headers);
      if (answer.status < 200 || answer.status >= 300) return relay(res, req, answer);
      headers = copied(forwardAuth, headers, answer.headers);
      more = cookiesOf(forwardAuth, answer.headers);
    }
    const service = this.#http.services[router.service]?.loadBalancer.servers[0]?.url;
    if (service === undefined) throw new TypeError(`service ${router.service} is not configured`);
    headers = set(endToEnd(headers), 'X-Forwarded-For', req.socket.remoteAddress ?? '');
    passOn(req, res, new URL(service), headers, more);
  }

  /** The router with the highest priority that matches; without one the longest rule counts. */
  #route(req: IncomingMessage): Router | undefined {
    const host = (req.headers.host ?? '').replace(/:\d+$/, '').toLowerCase();
    const path = (req.url ?? '/').replace(/[?#].*$/s, '');
    const rank = ({ priority, rule }: Router) => priority ?? rule.length;
    return Object.values(this.#http.routers)
      .toSorted((a, b) => rank(b) - rank(a))
      .find(({ rule }) => matches(rule, host, path));
  }

  /** What forwarded headers a visitor sent are gone; those of this hop are there. */
  #entryPoint(req: IncomingMessage): Pair[] {
    const headers = pairsOf(req.rawHeaders).filter(([name]) => !FORWARDED.includes(name.toLowerCase()));
    return [
      ...headers,
      ['X-Forwarded-Host', req.headers.host ?? ''],
      ['X-Forwarded-Port', String(this.#listener?.port ?? '')],
      ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-Server', 'traefik'],
      ['X-Real-Ip', req.socket.remoteAddress ?? ''],
    ];
  }

  /** The question: always GET, without a body, everything else in headers. */
  async #ask({ address, trustForwardHeader }: ForwardAuth, req: IncomingMessage, from: Pair[]): Promise<Whole> {
    const url = new URL(address);
    const trusted = (name: string, own: string) => (trustForwardHeader === true ? named(from, name)[0] : own) ?? own;
    let headers = set(
      endToEnd(from).filter(([name]) => !/^content-length$/i.test(name)),
      'Host',
      url.host,
    );
    headers = set(headers, 'X-Forwarded-Method', trusted('X-Forwarded-Method', req.method ?? ''));
    headers = set(headers, 'X-Forwarded-Proto', trusted('X-Forwarded-Proto', 'https'));
    headers = set(headers, 'X-Forwarded-Host', trusted('X-Forwarded-Host', req.headers.host ?? ''));
    headers = set(headers, 'X-Forwarded-Uri', trusted('X-Forwarded-Uri', req.url ?? ''));
    headers = set(headers, 'X-Forwarded-For', req.socket.remoteAddress ?? '');
    const answer = await askWhole(url, url.pathname + url.search, 'GET', headers);
    this.questions.push({ address, headers, answer: answer.status });
    return answer;
  }
}

/** The visitor's own copies go in any case; the answer's come in their place. */
function copied({ authResponseHeaders = [], authResponseHeadersRegex }: ForwardAuth, headers: Pair[], answer: Pair[]) {
  let result = headers;
  for (const name of authResponseHeaders) result = set(result, name, ...named(answer, name));
  if (authResponseHeadersRegex === undefined) return result;
  const pattern = regexp(authResponseHeadersRegex);
  result = result.filter(([name]) => !pattern.test(name) || authResponseHeaders.some((n) => same(n, name)));
  const matching = answer.filter(([name]) => pattern.test(name) && !authResponseHeaders.some((n) => same(n, name)));
  return [...result, ...matching];
}

const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();

function cookiesOf({ addAuthCookiesToResponse = [] }: ForwardAuth, answer: Pair[]): Pair[] {
  const wanted = answer.filter(
    ([name, value]) =>
      same(name, 'set-cookie') && addAuthCookiesToResponse.some((cookie) => value.startsWith(`${cookie}=`)),
  );
  return wanted;
}

/** ``(Host(`a`) || Host(`b`)) && PathPrefix(`/c`) && !PathPrefix(`/c/d`)`` */
function matches(rule: string, host: string, path: string): boolean {
  let left = rule.replaceAll(/(!?)(Host|PathPrefix)\(`([^`]*)`\)/g, (_, not: string, what: string, text: string) => {
    const holds = what === 'Host' ? text.toLowerCase() === host : path.startsWith(text);
    return String(holds !== (not === '!'));
  });
  // the innermost first: brackets, then and, then or
  const steps: [RegExp, (...parts: string[]) => string][] = [
    [/\(\s*(true|false)\s*\)/, (_, value) => value!],
    [/(true|false)\s*&&\s*(true|false)/, (_, a, b) => String(a === 'true' && b === 'true')],
    [/(true|false)\s*\|\|\s*(true|false)(?!\s*&&)/, (_, a, b) => String(a === 'true' || b === 'true')],
  ];
  for (let step = steps.find(([form]) => form.test(left)); step !== undefined;) {
    left = left.replace(...step);
    step = steps.find(([form]) => form.test(left));
  }
  if (left.trim() !== 'true' && left.trim() !== 'false')
    throw new TypeError(`rule ${rule} is none this stand-in knows`);
  return left.trim() === 'true';
}

/**
 * The dynamic configuration Traefik makes of labels of containers, for the file provider. Names are those of one compose
 * file, so that `@docker` says nothing.
 * @param labels by service
 * @param place where a service is reached on a port
 */
export function fromLabels(
  labels: Readonly<Record<string, Readonly<Record<string, string>>>>,
  place: (service: string, port: string | undefined) => string,
): string {
  const http: Dynamic['http'] = { routers: {}, middlewares: {}, services: {} };
  for (const [container, own] of Object.entries(labels)) {
    if (own['traefik.enable'] !== 'true') continue;
    const routers = Object.keys(own).flatMap((key) => /^traefik\.http\.routers\.([^.]+)\.rule$/.exec(key)?.[1] ?? []);
    const at = (...path: string[]) => own[['traefik', 'http', ...path].join('.')];
    const services = new Set(
      Object.keys(own).flatMap((key) => /^traefik\.http\.services\.([^.]+)\./.exec(key)?.[1] ?? []),
    );
    // a container without a service of its own gets one on the port it shows
    const service = [...services][0] ?? container;
    const port = at('services', service, 'loadbalancer', 'server', 'port') ?? own['traefik.port'];
    http.services[service] = { loadBalancer: { servers: [{ url: place(container, port) }] } };
    for (const name of routers) {
      const priority = at('routers', name, 'priority');
      const middlewares = at('routers', name, 'middlewares')
        ?.split(',')
        .map((m) => m.trim().replace(/@docker$/, ''));
      http.routers[name] = {
        rule: at('routers', name, 'rule') ?? '',
        service: at('routers', name, 'service') ?? service,
        ...(priority === undefined ? {} : { priority: Number(priority) }),
        ...(middlewares === undefined ? {} : { middlewares }),
      };
    }
    for (const key of Object.keys(own)) {
      const name = /^traefik\.http\.middlewares\.([^.]+)\.forwardauth\.address$/.exec(key)?.[1];
      if (name === undefined) continue;
      const option = (label: string) => at('middlewares', name, 'forwardauth', label);
      const address = new URL(option('address') ?? '');
      const regex = option('authResponseHeadersRegex');
      http.middlewares![name] = {
        forwardAuth: {
          address: place(address.hostname, address.port) + address.pathname + address.search,
          trustForwardHeader: option('trustForwardHeader') === 'true',
          authResponseHeaders: (option('authResponseHeaders') ?? '').split(','),
          ...(regex === undefined ? {} : { authResponseHeadersRegex: regex }),
        },
      };
    }
  }
  return stringify({ http });
}
