/** Backends that a token leads single people to, in place of the application's own (spec/outpost.md 6.1 and 12). */
import type { ProxyClaims } from '../../contract/claims.ts';
import {
  allowingEntry,
  isHostHeader,
  ownBackendHost,
  readBackend,
  readBackendHost,
} from '../../rules/backend-hosts.ts';
import type { BackendHost } from '../../rules/backend-hosts.ts';
import type { Upstream } from './target.ts';

/** What of a token says where requests go. */
export type BackendClaims = Pick<ProxyClaims, 'backend_override' | 'host_header'>;

/** Where a person's requests go. */
export interface Backend {
  readonly upstream: Upstream;
  /** names it in metrics: never what a token says, or every person would make series of their own */
  readonly label: string;
  /** Host that the token wants the application to see; undefined = as the provider says */
  readonly host: string | undefined;
}

export class Backends {
  readonly #allowed: readonly BackendHost[];
  readonly #open: (address: string) => Upstream;
  #usual: Backend | undefined;

  /**
   * @param internalHost of the provider; its own host is always allowed, so that a token may choose a path of it
   * @param hosts setting `backend_hosts`, checked when it was saved; what cannot be read allows nothing
   */
  constructor(internalHost: string, hosts: readonly string[], open: (address: string) => Upstream) {
    const own = ownBackendHost(internalHost);
    this.#allowed = [own, ...hosts.map(readBackendHost)].filter((entry) => entry !== undefined);
    this.#open = open;
  }

  /**
   * Asked for every request, since what is allowed may have changed after the login.
   * @param claims of the person who asks; undefined = nobody
   * @param usual the application's own
   * @returns `undefined` when the token names what is not allowed: another backend may be another person's
   */
  find(claims: BackendClaims | undefined, usual: Upstream): Backend | undefined {
    if (claims === undefined || !namesBackend(claims)) return this.#usualBackend(usual);
    const found = this.#read(claims);
    if (found === undefined) return undefined;
    const { address, label } = found;
    const upstream = address === undefined ? usual : this.#open(address);
    return { upstream, label: label ?? usual.authority, host: claims.host_header || undefined };
  }

  /** Whether requests may go where these claims lead. */
  allows(claims: BackendClaims): boolean {
    return !namesBackend(claims) || this.#read(claims) !== undefined;
  }

  /** The same object for every request, as nearly all of them go there. */
  #usualBackend(upstream: Upstream): Backend {
    if (this.#usual?.upstream !== upstream) this.#usual = { upstream, label: upstream.authority, host: undefined };
    return this.#usual;
  }

  #read({ backend_override, host_header }: BackendClaims): { address?: string; label?: string } | undefined {
    if (host_header !== '' && !isHostHeader(host_header)) return undefined;
    if (backend_override === '') return {};
    const url = readBackend(backend_override);
    const entry = url === undefined ? undefined : allowingEntry(url, this.#allowed);
    return url === undefined || entry === undefined ? undefined : { address: url.href, label: entry.text };
  }
}

const namesBackend = ({ backend_override, host_header }: BackendClaims) =>
  backend_override !== '' || host_header !== '';
