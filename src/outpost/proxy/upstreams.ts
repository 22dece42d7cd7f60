import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { LRUCache } from 'lru-cache';
import { buildConnector, Pool } from 'undici';
import type { Dispatcher } from 'undici';
import { CodedError } from '../../contract/errors.ts';
import type { Upstream } from './target.ts';

/** Code of the error when an application reset its connection. */
export const UPSTREAM_RESET = 'UPSTREAM_RESET';

/** Largest response head of an application. Node's own server takes 16 KiB; many cookies need more. */
const MAX_HEAD_BYTES = 64 * 1024;
const CONNECT_TIMEOUT_MS = 10_000;
/** Backends of single people with connections of their own at a time. */
const MAX_BORROWED = 500;

/**
 * The connection pools to applications. One instance lives as long as the worker; each configuration asks it for
 * the upstreams it needs and then names those still in use, so that connections survive a change that does not
 * concern them.
 */
export class Upstreams {
  readonly #known = new Map<string, Upstream>();
  readonly #borrowed = new LRUCache<string, Dispatcher>({ max: MAX_BORROWED, dispose: close });

  /**
   * @param internalHost `internal_host` of a provider: scheme, authority and an optional base path
   * @param verifyTls `internal_host_ssl_validation`
   * @param ca PEM of the authorities that may sign its certificate, instead of the usual ones; empty = those
   * @throws CodedError `upstream-address` when it is no http(s) address, `upstream-ca` when that is no PEM
   */
  open(internalHost: string, verifyTls: boolean, ca = ''): Upstream {
    const place = placeOf(internalHost);
    const key = `${place.url.origin}${place.basePath} ${verifyTls} ${ca}`;
    const known = this.#known.get(key);
    if (known) return known;
    const upstream = upstreamAt(place, openPoolAt(place.url, verifyTls, ca));
    this.#known.set(key, upstream);
    return upstream;
  }

  /**
   * For a backend that no configuration names: its connections are shared by everybody who is led there, and those used
   * least make room.
   * @throws CodedError as {@link open}
   */
  borrow(address: string, verifyTls: boolean, ca = ''): Upstream {
    const place = placeOf(address);
    const key = `${place.url.origin} ${verifyTls} ${ca}`;
    let dispatcher = this.#borrowed.get(key);
    if (dispatcher === undefined) {
      dispatcher = openPoolAt(place.url, verifyTls, ca);
      this.#borrowed.set(key, dispatcher);
    }
    return upstreamAt(place, dispatcher);
  }

  /** Closes every upstream that is not in `used`, after the requests it still carries. */
  keepOnly(used: ReadonlySet<Upstream>): void {
    for (const [key, upstream] of this.#known) {
      if (used.has(upstream)) continue;
      this.#known.delete(key);
      close(upstream.dispatcher);
    }
  }

  /** Ends all connections at once. */
  async destroy(): Promise<void> {
    const all = [...this.#known.values()].map((upstream) => upstream.dispatcher).concat([...this.#borrowed.values()]);
    this.#known.clear();
    await Promise.all(all.map((dispatcher) => dispatcher.destroy()));
  }
}

interface Place {
  url: URL;
  basePath: string;
}

function placeOf(address: string): Place {
  const url = URL.parse(address);
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') {
    throw new CodedError('upstream-address', 502, 'The internal host of this application is not an http(s) address.');
  }
  return { url, basePath: url.pathname.replace(/\/+$/, '') };
}

const upstreamAt = ({ url, basePath }: Place, dispatcher: Dispatcher): Upstream => ({
  origin: url.origin,
  authority: url.host,
  basePath,
  dispatcher,
});

const openPoolAt = (url: URL, verifyTls: boolean, ca: string): Dispatcher =>
  url.protocol === 'https:' ? openTlsPool(url, verifyTls, ca) : openPool(url.origin, {});

/** Once the requests it still carries are done. */
function close(dispatcher: Dispatcher): void {
  dispatcher.close().catch(() => undefined); // a pool closed twice has nothing left to close
}

/**
 * Certificate and SNI are for the name in `internal_host`; undici would take the Host header, which may be the original
 * one. An address has no SNI (RFC 6066 3) and is looked for in the certificate itself.
 */
function openTlsPool(url: URL, verifyTls: boolean, ca: string): Dispatcher {
  const hostname = url.hostname.replace(/^\[|\]$/g, '');
  const secureContext = ca === '' ? undefined : trusting(ca);
  const tls = { rejectUnauthorized: verifyTls, ...(secureContext ? { secureContext } : {}) };
  const pool = openPool(url.origin, tls, isIP(hostname) === 0 ? hostname : '');
  // one name for all requests, or a connection would not be used again for another Host
  return pool.compose((dispatch) => (options, handler) => {
    const named = { ...options, servername: hostname };
    return dispatch(named, handler);
  });
}

function trusting(ca: string): SecureContext {
  try {
    new X509Certificate(ca); // OpenSSL would take text without any as "nobody"
    return createSecureContext({ ca });
  } catch (error) {
    const sentence = 'The setting "upstream_ca" of this application holds no certificate that can be read.';
    throw new CodedError('upstream-ca', 502, sentence, String(error));
  }
}

function openPool(origin: string, tls: object, servername?: string): Pool {
  return new Pool(origin, {
    // no upper bound here: the listeners bound how many requests there are
    pipelining: 1,
    allowH2: false,
    maxHeaderSize: MAX_HEAD_BYTES,
    bodyTimeout: 0,
    keepAliveTimeout: 4000, // below the 5 s many servers close idle connections after
    connect: resetsAreErrors(buildConnector({ ...tls, timeout: CONNECT_TIMEOUT_MS, allowH2: false }), servername),
  });
}

/**
 * An answer without a length ends with the connection. undici takes a reset connection for such an end, which would
 * turn half an answer into a whole one; under another code it is the error that it is.
 */
function resetsAreErrors(connector: buildConnector.connector, servername?: string): buildConnector.connector {
  return (options, callback) =>
    connector(servername === undefined ? options : { ...options, servername }, (...result) => {
      result[1]?.prependListener('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNRESET') error.code = UPSTREAM_RESET;
      });
      callback(...result);
    });
}
