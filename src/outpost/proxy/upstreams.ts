import { buildConnector, Pool } from 'undici';
import { CodedError } from '../../contract/errors.ts';
import type { Upstream } from './target.ts';

/** Code of the error when an application reset its connection. */
export const UPSTREAM_RESET = 'UPSTREAM_RESET';

/** Largest response head of an application. Node's own server takes 16 KiB; many cookies need more. */
const MAX_HEAD_BYTES = 64 * 1024;
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * The connection pools to applications. One instance lives as long as the worker; each configuration asks it for
 * the upstreams it needs and then names those still in use, so that connections survive a change that does not
 * concern them.
 */
export class Upstreams {
  readonly #known = new Map<string, Upstream>();

  /**
   * @param internalHost `internal_host` of a provider: scheme, authority and an optional base path
   * @param verifyTls `internal_host_ssl_validation`
   * @throws CodedError `upstream-address` when it is no http(s) address
   */
  open(internalHost: string, verifyTls: boolean): Upstream {
    const url = URL.parse(internalHost);
    if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') {
      throw new CodedError('upstream-address', 502, 'The internal host of this application is not an http(s) address.');
    }
    const basePath = url.pathname.replace(/\/+$/, '');
    const key = `${url.origin}${basePath} ${verifyTls}`;
    const known = this.#known.get(key);
    if (known) return known;
    const upstream = { origin: url.origin, authority: url.host, basePath, dispatcher: openPool(url.origin, verifyTls) };
    this.#known.set(key, upstream);
    return upstream;
  }

  /** Closes every upstream that is not in `used`, after the requests it still carries. */
  keepOnly(used: ReadonlySet<Upstream>): void {
    for (const [key, upstream] of this.#known) {
      if (used.has(upstream)) continue;
      this.#known.delete(key);
      upstream.dispatcher.close().catch(() => undefined); // a pool closed twice has nothing left to close
    }
  }

  /** Ends all connections at once. */
  async destroy(): Promise<void> {
    const all = [...this.#known.values()];
    this.#known.clear();
    await Promise.all(all.map((u) => u.dispatcher.destroy()));
  }
}

function openPool(origin: string, verifyTls: boolean): Pool {
  return new Pool(origin, {
    // no upper bound here: the listeners bound how many requests there are
    pipelining: 1,
    allowH2: false,
    maxHeaderSize: MAX_HEAD_BYTES,
    bodyTimeout: 0,
    keepAliveTimeout: 4000, // below the 5 s many servers close idle connections after
    connect: resetsAreErrors(
      buildConnector({ rejectUnauthorized: verifyTls, timeout: CONNECT_TIMEOUT_MS, allowH2: false }),
    ),
  });
}

/**
 * An answer without a length ends with the connection. undici takes a reset connection for such an end, which would
 * turn half an answer into a whole one; under another code it is the error that it is.
 */
function resetsAreErrors(connector: buildConnector.connector): buildConnector.connector {
  return (options, callback) =>
    connector(options, (...result) => {
      result[1]?.prependListener('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNRESET') error.code = UPSTREAM_RESET;
      });
      callback(...result);
    });
}
