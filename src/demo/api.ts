/** The few calls of the REST API that the demo makes. */
import { CodedError } from '../contract/errors.ts';

export type Json = Readonly<Record<string, unknown>>;

export class Api {
  readonly #fetch: typeof fetch;
  readonly #base: string;
  readonly #token: string;

  /**
   * @param call how to reach the server
   * @param base address of the API, up to and with `/api/v3/`
   * @param token key of an administrator's API token
   */
  constructor(call: typeof fetch, base: string, token: string) {
    this.#fetch = call;
    this.#base = base;
    this.#token = token;
  }

  post = (path: string, body: Json): Promise<Json> => this.#call('POST', path, body);
  patch = (path: string, body: Json): Promise<Json> => this.#call('PATCH', path, body);
  remove = (path: string): Promise<Json> => this.#call('DELETE', path);

  /** The first object of a list that satisfies `is`; the filter in the path only makes the list shorter. */
  async find(path: string, is: (entry: Json) => boolean): Promise<Json | undefined> {
    const { results } = await this.#call('GET', path);
    return (results as Json[]).find(is);
  }

  async #call(method: string, path: string, body?: Json): Promise<Json> {
    const answer = await this.#fetch(new URL(path, this.#base), {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        accept: 'application/json',
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) {
      throw new CodedError(
        'demo-not-configured',
        500,
        `The demo could not be set up: ${method} ${path} was answered with ${answer.status}.`,
        text.slice(0, 500),
      );
    }
    return text === '' ? {} : (JSON.parse(text) as Json);
  }
}
