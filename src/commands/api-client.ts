/** REST client of the commands that ask a running server. */
import { Agent, fetch } from 'undici';
import { CodedError } from '../contract/errors.ts';
import type { Settings } from '../settings/settings.ts';

type Json = Readonly<Record<string, unknown>>;

const TIMEOUT_MS = 10_000;

/** Where the server is and who asks. */
export interface ApiAccess {
  /** address of the server with its base path, ends with a slash */
  base: string;
  token: string;
  verifyTls: boolean;
}

/**
 * The server `HOST` names, else the one on this machine; the token `TOKEN`, else the one of the first start.
 * @throws CodedError `no-api-token`
 */
export function apiAccess(settings: Settings): ApiAccess {
  const { host, token = settings.bootstrap.token, insecure } = settings.outpost;
  if (token === undefined) {
    throw new CodedError(
      'no-api-token',
      400,
      'This command asks the server and needs an API token: set GATEHOUSE_TOKEN to one of an administrator. ' +
        'Another server than the one on this machine: GATEHOUSE_HOST.',
    );
  }
  const port = settings.listen.http[0]?.port ?? 9000;
  const base = host ?? `http://localhost:${port}${settings.webPath}`;
  return { base: base.endsWith('/') ? base : `${base}/`, token, verifyTls: !insecure };
}

export class ApiClient {
  readonly #access: ApiAccess;
  readonly #agent: Agent;

  constructor(access: ApiAccess) {
    this.#access = access;
    this.#agent = new Agent({ connect: { rejectUnauthorized: access.verifyTls }, allowH2: false });
  }

  close = (): Promise<void> => this.#agent.destroy();

  /** @param path below `/api/v3/`, with its query */
  get = (path: string): Promise<Json> => this.#call('GET', path);

  /** @param path below `/api/v3/`, with its query */
  post = (path: string, body: Json): Promise<Json> => this.#call('POST', path, body);

  /**
   * The one object of a list with this name.
   * @param list below `/api/v3/`, with a filter that lets few others through
   * @throws CodedError `no-such-object`
   */
  async named(list: string, name: string): Promise<Json> {
    const { results } = await this.get(list);
    const found = Array.isArray(results) ? (results as Json[]).find((entry) => entry['name'] === name) : undefined;
    if (found === undefined) {
      const kind = list.split('?', 1)[0]?.replace(/\/$/, '');
      throw new CodedError('no-such-object', 404, `The server has no ${kind} named ${JSON.stringify(name)}.`);
    }
    return found;
  }

  async #call(method: string, path: string, body?: Json): Promise<Json> {
    const { base, token } = this.#access;
    const headers: Record<string, string> = { authorization: `Bearer ${token}`, accept: 'application/json' };
    if (body !== undefined) headers['content-type'] = 'application/json';
    const answer = await fetch(new URL(`api/v3/${path}`, base), {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      redirect: 'error', // the token goes to nobody else
      signal: AbortSignal.timeout(TIMEOUT_MS),
      dispatcher: this.#agent,
    }).catch((error: unknown) => {
      throw new CodedError('api-unreachable', 502, `The server at ${base} cannot be reached.`, String(error));
    });
    const text = await answer.text();
    if (answer.ok) return parse(text, base);
    if (answer.status === 401 || answer.status === 403) {
      throw new CodedError('api-refused', answer.status, `The server at ${base} refuses this token (${path}).`);
    }
    const sentences = answer.status === 400 ? refusalOf(text) : '';
    if (sentences !== '') throw new CodedError('api-invalid', 400, sentences);
    throw new CodedError(
      'api-answer',
      502,
      `The server at ${base} answered ${answer.status} to ${method} ${path}: ${text.slice(0, 500)}`,
    );
  }
}

/** What is wrong with the fields that were sent, in the server's own sentences. */
function refusalOf(text: string): string {
  try {
    const fields = Object.values(JSON.parse(text) as Json).flat();
    return fields.filter((sentence) => typeof sentence === 'string').join(' ');
  } catch {
    return '';
  }
}

function parse(text: string, base: string): Json {
  try {
    const value: unknown = JSON.parse(text === '' ? '{}' : text);
    if (typeof value === 'object' && value !== null) return value as Json;
  } catch {
    // said below
  }
  throw new CodedError('api-answer', 502, `What answers at ${base} is not the REST interface.`);
}
