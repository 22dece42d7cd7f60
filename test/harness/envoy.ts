/**
 * Stands in for Envoy with ext_authz over HTTP (spec/outpost.md 20.4; source/extensions/filters/common/ext_authz of
 * Envoy): the visitor's method, path and Host, few headers, and no answer is a no.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { askWhole, endToEnd, named, pairsOf, passOn, relay, set, TlsListener } from './relay.ts';
import type { Pair, Whole } from './relay.ts';

export interface EnvoyOptions {
  /** where to ask: origin of the outpost */
  outpost: string;
  /** `http_service.path_prefix` */
  pathPrefix: string;
  /** `allowed_headers`: what the question carries beside method, path, Host and Authorization */
  allowedHeaders: readonly string[];
  /** `allowed_upstream_headers`, as prefixes */
  allowedUpstreamHeaders: readonly string[];
  /** `allowed_client_headers_on_success` */
  allowedClientHeadersOnSuccess?: readonly string[];
  /** host -> service; `open` = routes with the filter switched off, as path prefixes */
  routes: Readonly<Record<string, { service: string; open?: readonly string[]; unprotected?: boolean }>>;
}

/** The published configuration: cookies only. */
export const PUBLISHED_ENVOY = {
  pathPrefix: '/outpost.goauthentik.io/auth/envoy',
  allowedHeaders: ['cookie'],
  allowedUpstreamHeaders: ['set-cookie', 'x-authentik-', 'authorization'],
} as const;

export class EnvoyDouble {
  readonly #options: EnvoyOptions;
  #listener: TlsListener | undefined;
  readonly questions: { target: string; headers: Pair[]; answer: number }[] = [];

  private constructor(options: EnvoyOptions) {
    this.#options = options;
  }

  static async start(port: number, options: EnvoyOptions): Promise<EnvoyDouble> {
    const envoy = new EnvoyDouble(options);
    envoy.#listener = await TlsListener.start(port, (req, res) => envoy.#answer(req, res));
    return envoy;
  }

  log = (): string => `--- Envoy ---\n${this.#listener?.log() ?? ''}`;
  stop = async (): Promise<void> => this.#listener?.stop();

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { routes, outpost } = this.#options;
    const route = routes[(req.headers.host ?? '').replace(/:\d+$/, '').toLowerCase()];
    if (route === undefined) return void res.writeHead(404).end();
    // use_remote_address: Envoy itself says where a request comes from
    let headers = set(endToEnd(pairsOf(req.rawHeaders)), 'x-forwarded-for', req.socket.remoteAddress ?? '');
    headers = set(headers, 'x-forwarded-proto', 'https');
    if (route.open?.some((prefix) => req.url?.startsWith(prefix)) === true) {
      return passOn(req, res, new URL(outpost), headers);
    }
    if (route.unprotected === true) return passOn(req, res, new URL(route.service), headers);

    const answer = await this.#ask(req, headers);
    if (answer.status >= 500) return void res.writeHead(403).end(); // status_on_error
    if (answer.status !== 200) return relay(res, req, answer);
    const upstream = answer.headers.filter(([name]) => this.#isAllowed(name));
    for (const name of new Set(upstream.map(([n]) => n))) headers = set(headers, name, ...named(upstream, name));
    for (const name of named(answer.headers, 'x-envoy-auth-headers-to-remove')) headers = set(headers, name);
    const { allowedClientHeadersOnSuccess = [] } = this.#options;
    const more = answer.headers.filter(([name]) => allowedClientHeadersOnSuccess.includes(name.toLowerCase()));
    passOn(req, res, new URL(route.service), headers, more);
  }

  #isAllowed(name: string): boolean {
    return this.#options.allowedUpstreamHeaders.some((prefix) => name.toLowerCase().startsWith(prefix));
  }

  async #ask(req: IncomingMessage, from: readonly Pair[]): Promise<Whole> {
    const { outpost, pathPrefix, allowedHeaders } = this.#options;
    const wanted = new Set(['host', 'authorization', ...allowedHeaders]);
    const headers = from.filter(([name]) => wanted.has(name.toLowerCase()));
    const target = pathPrefix + (req.url ?? '/');
    const answer = await askWhole(new URL(outpost), target, req.method ?? 'GET', [...headers, ['content-length', '0']]);
    this.questions.push({ target, headers, answer: answer.status });
    return answer;
  }
}
