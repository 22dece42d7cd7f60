import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import type { RequestType } from './metrics.ts';
import { verdictOf } from './reasons.ts';
import type { Reason } from './reasons.ts';

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
  'x-api-key',
  'x-auth-token',
  'x-authentik-csrf',
  'x-authentik-jwt',
  'x-csrf-token',
  'x-gatehouse-link',
]);

/** Fields of headers that hold addresses, whose parameters may be secret. */
const ADDRESS_FIELDS: ReadonlySet<string> = new Set([
  ...['referer', 'x_original_url', 'x_original_uri', 'x_forwarded_uri', 'x_auth_request_redirect'],
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
  /** epoch ms */
  at: number;
  method: string;
  /** raw request target; secret parameters are removed here */
  target: string;
  /** address a reverse proxy named in its question; logged only for what was not let through */
  asked: string | undefined;
  host: string;
  scheme: string;
  status: number;
  /** bytes of the answer's body; undefined = not known, of the identity server's answers */
  size: number | undefined;
  /** `ping` and `static` are logged under a logger of their own, as published */
  type: RequestType;
  /** ms */
  runtime: number;
  /** address of the client */
  remote: string;
  /** name of the provider; undefined for requests of no site */
  provider: string | undefined;
  /** slug of the application of a domain that was opened or refused; undefined = the provider's own */
  application?: string | undefined;
  /** name of the signed-in person */
  user: string | undefined;
  reason: Reason;
  requestId: string;
  /** `rawHeaders`, of which the configured ones are logged */
  rawHeaders: readonly string[];
}

/** pino's number of the level `info`. */
const INFO = 30;

/**
 * Writes the access log: one JSON line a request, level info. The lines are put together here rather than by pino,
 * which costs as much as the rest of a decision; they look the same and go the same way.
 */
export class AccessLog {
  readonly #log: Logger;
  readonly #sink: DestinationStream;
  readonly #bindings: string;
  readonly #httpBindings: string;
  readonly #headers: ReadonlyMap<string, string>;
  /** lengths of the copied headers' names: most headers are skipped by that */
  readonly #lengths: ReadonlySet<number>;
  readonly #provider = new Last(quote);
  readonly #application = new Last(quote);
  readonly #remote = new Last(quote);
  readonly #host = new Last(quote);
  readonly #user = new Last(quote);
  readonly #target = new Last((target) => quote(redactTarget(target)));
  #stampedAt = 0;
  #stamp = '';

  /** @param headers names of request headers to copy (`AUTHENTIK_LOG__HTTP_HEADERS`) */
  constructor(log: Logger, headers: readonly string[]) {
    this.#log = log;
    this.#sink = streamOf(log);
    const bindings = (logger: string) =>
      JSON.stringify({ ...log.bindings(), pid: process.pid, logger: `authentik.outpost.proxyv2.${logger}` }).slice(
        1,
        -1,
      );
    this.#bindings = bindings('application');
    this.#httpBindings = bindings('http');
    const names = headers.map((name) => name.toLowerCase()).filter((name) => !SECRET_HEADERS.has(name));
    this.#headers = new Map(names.map((name) => [name, name.replaceAll('-', '_')]));
    this.#lengths = new Set(names.map((name) => name.length));
  }

  write(entry: AccessEntry): void {
    if (this.#log.levelVal > INFO) return; // looked at each time: the server may say another level
    const { provider, application, user, reason } = entry;
    let line = entry.type === 'app' ? this.#opening(entry.at) : beginning(entry.at, this.#httpBindings);
    if (provider !== undefined) line += `,"name":${this.#provider.of(provider)}`;
    if (application !== undefined) line += `,"application":${this.#application.of(application)}`;
    // methods are tokens and request numbers are ours: nothing in them to escape
    line +=
      `,"remote":${this.#remote.of(entry.remote)},"host":${this.#host.of(entry.host)},"runtime":"${threeDecimals(entry.runtime)}"` +
      `,"method":"${entry.method}","scheme":"${entry.scheme}","status":${entry.status}`;
    if (entry.size !== undefined) line += `,"size":${entry.size}`;
    if (user !== undefined) line += `,"user":${this.#user.of(user)}`;
    const verdict = verdictOf(reason);
    if (verdict !== 'allow' && entry.asked !== undefined) line += `,"asked":${quote(redactTarget(entry.asked))}`;
    line += `,"verdict":"${verdict}","reasons":["${reason}"],"request_id":"${entry.requestId}"`;
    const raw = entry.rawHeaders;
    for (let i = 0; i + 1 < raw.length; i += 2) {
      const name = raw[i] as string;
      if (!this.#lengths.has(name.length)) continue;
      const field = this.#headers.get(name.toLowerCase());
      if (field === undefined) continue;
      const value = raw[i + 1] as string;
      line += `,${quote(field)}:${quote(ADDRESS_FIELDS.has(field) ? redactTarget(value) : clip(value))}`;
    }
    this.#sink.write(`${line},"event":${this.#target.of(entry.target)}}\n`);
  }

  /** the beginning of a line: the same for all of a millisecond */
  #opening(now: number): string {
    if (now !== this.#stampedAt) {
      this.#stampedAt = now;
      this.#stamp = beginning(now, this.#bindings);
    }
    return this.#stamp;
  }
}

function beginning(now: number, bindings: string): string {
  return `{"level":"info","timestamp":"${new Date(now).toISOString()}",${bindings}`;
}

/** Remembers one result: of two lines in a row, most parts are the same. */
class Last {
  readonly #make: (text: string) => string;
  #text = '';
  #made: string;

  constructor(make: (text: string) => string) {
    this.#make = make;
    this.#made = make('');
  }

  of(text: string): string {
    if (text !== this.#text) {
      this.#made = this.#make(text);
      this.#text = text;
    }
    return this.#made;
  }
}

/** As `toFixed(3)`, which takes several times longer. */
function threeDecimals(ms: number): string {
  const thousandths = Math.round(ms * 1000);
  const rest = thousandths % 1000;
  return `${Math.trunc(thousandths / 1000)}.${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}`;
}

/** What a JSON string cannot hold as it is, and lone surrogates, which are no text. */
const NEEDS_ESCAPE = /["\\\u0000-\u001f\ud800-\udfff]/;
const quote = (text: string): string => (NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`);

function streamOf(log: Logger): DestinationStream {
  return (log as unknown as Record<symbol, DestinationStream>)[pino.symbols.streamSym] as DestinationStream;
}
