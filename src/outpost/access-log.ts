import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import { logFormat } from '../contract/log-format.ts';

/** Query parameters whose value is a credential or leads to one (spec/outpost.md 24, quirk 12). Lower case. */
const SECRET_PARAMETERS: ReadonlySet<string> = new Set([
  'access_token',
  'apikey',
  'api_key',
  'client_assertion',
  'client_secret',
  'code',
  'code_verifier',
  'id_token',
  'id_token_hint',
  'key',
  'logout_token',
  'nonce',
  'password',
  'refresh_token',
  'samlrequest',
  'samlresponse',
  'secret',
  'session_state',
  'sig',
  'signature',
  'state',
  'token',
]);

/** Request headers that never reach a log, whatever a setting asks for. */
const SECRET_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'proxy-authorization',
  'set-cookie',
  'x-authentik-jwt',
  'x-gatehouse-link',
]);

const MAX_VALUE = 512;

/**
 * A request target without the values of parameters that are secret. The path is kept, so are all names.
 * `rd` and other addresses inside parameters are cut at their own query, which may hold anything.
 */
export function redactTarget(target: string): string {
  const at = target.indexOf('?');
  if (at < 0) return clip(target);
  const query = target.slice(at + 1).split('&');
  return clip(`${target.slice(0, at)}?${query.map(redactPair).join('&')}`);
}

function redactPair(pair: string): string {
  const at = pair.indexOf('=');
  if (at < 0) return pair;
  const name = pair.slice(0, at);
  if (SECRET_PARAMETERS.has(decoded(name).toLowerCase())) return `${name}=[redacted]`;
  const inner = /\?|%3f/i.exec(pair.slice(at + 1));
  return inner ? `${pair.slice(0, at + 1 + inner.index)}?[redacted]` : pair;
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function clip(text: string): string {
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
}

/** One answered request (spec/outpost.md 15.3). */
export interface AccessEntry {
  method: string;
  /** raw request target; secret parameters are removed here */
  target: string;
  host: string;
  scheme: string;
  status: number;
  /** bytes of the answer's body, where known */
  size?: number;
  /** ms */
  runtime: number;
  /** address of the client */
  remote: string;
  /** name of the provider; absent for requests of no site */
  provider?: string;
  /** name of the signed-in person */
  user?: string;
  /** verdict and reasons of the decision */
  verdict?: string;
  reasons?: readonly string[];
  requestId: string;
  /** `rawHeaders`, of which the configured ones are logged */
  rawHeaders: readonly string[];
}

/**
 * Writes the access log: one JSON line a request, level info.
 */
export class AccessLog {
  readonly #log: Logger;
  readonly #headers: ReadonlyMap<string, string>;
  readonly #enabled: boolean;

  /** @param headers names of request headers to copy (`AUTHENTIK_LOG__HTTP_HEADERS`) */
  constructor(log: Logger, headers: readonly string[]) {
    this.#log = log.child({ logger: 'authentik.outpost.proxyv2.application' });
    const names = headers.map((name) => name.toLowerCase()).filter((name) => !SECRET_HEADERS.has(name));
    this.#headers = new Map(names.map((name) => [name, name.replaceAll('-', '_')]));
    this.#enabled = log.isLevelEnabled('info');
  }

  write(entry: AccessEntry): void {
    if (!this.#enabled) return;
    const fields: Record<string, unknown> = {
      name: entry.provider,
      remote: entry.remote,
      host: entry.host,
      runtime: entry.runtime.toFixed(3),
      method: entry.method,
      scheme: entry.scheme,
      size: entry.size,
      status: entry.status,
      user: entry.user,
      verdict: entry.verdict,
      reasons: entry.reasons,
      request_id: entry.requestId,
    };
    const raw = entry.rawHeaders;
    for (let i = 0; i + 1 < raw.length; i += 2) {
      const field = this.#headers.get(raw[i]!.toLowerCase());
      if (field !== undefined) fields[field] = clip(raw[i + 1]!);
    }
    this.#log.info(fields, redactTarget(entry.target));
  }
}

/** Bytes gathered before a write, and how long a line may wait. */
const BUFFER_BYTES = 8 * 1024;
const FLUSH_MS = 500;
/** Lines are dropped rather than kept beyond this when nobody reads the log. */
const MAX_PENDING_BYTES = 32 * 1024 * 1024;

/** What a process logs through, and how its last lines get out. */
export interface ProcessLog {
  log: Logger;
  /** writes what is still buffered, synchronously: the last thing before an exit */
  readonly flush: () => void;
}

/**
 * The log of a process: JSON lines with `timestamp`, `level`, `event` (spec/outpost.md 15.3), to stdout. Lines are
 * gathered and written asynchronously: a slow reader of our log never delays a request.
 * @param part which process speaks, e.g. `worker`
 * @param destination for tests
 */
export function processLog(level: string, part: string, destination?: DestinationStream): ProcessLog {
  const sink = destination ?? asyncStdout();
  const log = pino(logFormat(level, part), sink);
  const flush = () => {
    if ('flushSync' in sink && typeof sink.flushSync === 'function') sink.flushSync();
  };
  return { log, flush };
}

function asyncStdout() {
  const sink = pino.destination({ fd: 1, sync: false, minLength: BUFFER_BYTES, maxLength: MAX_PENDING_BYTES });
  setInterval(() => sink.flush(), FLUSH_MS).unref();
  return sink;
}
