/** A JSON value of the REST interface; the exact key sets are checked beside the API. */
export type Json = { [key: string]: JsonValue };
export type JsonValue = string | number | boolean | null | Json | JsonValue[];

/** Client of `/api/v3` with a Bearer token. */
export class Api {
  readonly origin: string;
  readonly token: string;

  constructor(origin: string, token: string) {
    this.origin = origin;
    this.token = token;
  }

  /** Sends one request. @throws when the answer is not 2xx, with its body */
  async call(method: string, path: string, body?: unknown): Promise<Json> {
    const answer = await this.raw(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.text === '' ? {} : (JSON.parse(answer.text) as Json);
  }

  async raw(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }> {
    const init: RequestInit = {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      signal: AbortSignal.timeout(60_000),
    };
    if (body !== undefined) init.body = JSON.stringify(body);
    const answer = await fetch(`${this.origin}/api/v3/${path}`, init);
    return { status: answer.status, text: await answer.text() };
  }

  get = (path: string): Promise<Json> => this.call('GET', path);
  post = (path: string, body: unknown): Promise<Json> => this.call('POST', path, body);
  patch = (path: string, body: unknown): Promise<Json> => this.call('PATCH', path, body);
  delete = (path: string): Promise<Json> => this.call('DELETE', path);

  /** The results of the first page of a list. */
  async list(path: string): Promise<Json[]> {
    const page = await this.get(path);
    const results = page['results'];
    if (!Array.isArray(results)) throw new Error(`GET ${path}: no results in ${JSON.stringify(page)}`);
    return results as Json[];
  }

  /** The first result of a list. @throws when there is none */
  async first(path: string): Promise<Json> {
    const [found] = await this.list(path);
    if (found === undefined) throw new Error(`GET ${path}: nothing found`);
    return found;
  }
}
