/**
 * Where the configuration comes from (docs/architecture.md, decision 40): our own server tells what is new, page by page
 * at first; any other is asked for everything with the published calls. Which it is, a published answer shows.
 */
import { isDeepStrictEqual } from 'node:util';
import type { OutpostInstance, ProxyOutpostConfig } from '../../contract/api.ts';
import { readConfigurationAnswer } from '../../contract/decode.ts';
import { CodedError } from '../../contract/errors.ts';
import { CONFIGURATION_PATH, EXTENSION_HEADER } from '../../contract/extension.ts';
import type { ConfigurationAnswer } from '../../contract/extension.ts';
import { UnexpectedAnswer } from '../back-channel.ts';
import { fetchConfiguration, getJson, INSTANCES, isAnswered, MAX_PAGES, noOutpost, readOr } from './rest.ts';

/** What a fetch brought. */
export interface Fetched {
  outpost: OutpostInstance;
  /** all there are now; those that did not change are the very objects known before */
  providers: ProxyOutpostConfig[];
  /** those the server told of: their certificates may be others */
  told: ProxyOutpostConfig[];
}

/** At least this often everything is fetched, ms: should the server ever fail to note a change, it is not missed for good. */
const WHOLE_MS = 3_600_000;

export class ConfigurationSource {
  readonly #fetch: typeof globalThis.fetch;
  readonly #onUnreadable: (problem: string) => void;
  /** whether the server speaks the extension, as far as is known */
  #ours = false;
  #probed = false;
  /** position of what was fetched last; empty = everything is wanted */
  #cursor = '';
  /** epoch ms */
  #wholeAgainAt = 0;

  /**
   * @param fetch of a back channel: addresses are relative to the server
   * @param onUnreadable hears of each provider that cannot be read; it stays as it was
   */
  constructor(fetch: typeof globalThis.fetch, onUnreadable: (problem: string) => void) {
    this.#fetch = fetch;
    this.#onUnreadable = onUnreadable;
  }

  /** Whether the server is known to speak the extension. */
  get ours(): boolean {
    return this.#ours;
  }

  /**
   * Whether the server speaks the extension; asked if need be.
   * @throws UnexpectedAnswer or a network error when it cannot be told yet
   */
  async speaks(): Promise<boolean> {
    if (!this.#probed) await this.#probe();
    return this.#ours;
  }

  /** The next fetch asks anew whom it talks to: the server may have been replaced. */
  probeAgain(): void {
    this.#probed = false;
  }

  /** The next fetch brings everything. */
  forget(): void {
    this.#cursor = '';
  }

  /**
   * Certificates are not among it.
   * @param known providers in use
   * @throws CodedError, UnexpectedAnswer or a network error; then the last configuration stays in use as a whole
   */
  async fetch(known: readonly ProxyOutpostConfig[]): Promise<Fetched> {
    const fetched = (await this.speaks()) ? await this.#fetchNews(known) : undefined;
    if (fetched !== undefined) return fetched;
    const { outpost, providers } = await fetchConfiguration(this.#fetch, known, this.#onUnreadable);
    const kept = keepEqual(providers, known);
    return { outpost, providers: kept, told: kept };
  }

  async #probe(): Promise<void> {
    const address = 'api/v3/root/config/';
    const answer = await this.#fetch(address);
    await answer.body?.cancel();
    if (!answer.ok) throw new UnexpectedAnswer(address, answer.status, answer.headers.get('location'));
    this.#ours = answer.headers.has(EXTENSION_HEADER);
    this.#probed = true;
  }

  /** @returns undefined when this server knows nothing of it, after all */
  async #fetchNews(known: readonly ProxyOutpostConfig[]): Promise<Fetched | undefined> {
    if (Date.now() >= this.#wholeAgainAt) this.#cursor = '';
    const first = await this.#ask(`cursor=${encodeURIComponent(this.#cursor)}`);
    if (first === undefined) return undefined;
    let unreadable = false;
    const note = (problem: string) => {
      unreadable = true;
      this.#onUnreadable(problem);
    };
    const items = [...first.providers];
    for (let { next } = first, pages = 1; next > 0; pages += 1) {
      const page = await this.#ask(`after=${next}`);
      if (page === undefined || pages === MAX_PAGES || (page.next > 0 && page.next <= next)) {
        throw new CodedError('server-answer', 502, 'The list of providers does not end.');
      }
      items.push(...page.providers);
      next = page.next;
    }
    const { managed_headers, removed, whole } = first;
    const read = items.map((item) => readOr(item, known, note)).filter((one) => one !== undefined);
    const told = keepEqual(withHeaders(read, managed_headers), known);
    const gone = new Set([...told.map(({ pk }) => pk), ...removed]);
    const rest = whole ? [] : known.filter(({ pk }) => !gone.has(pk));
    // What could not be read is asked for again: the position vouches for everything before it
    this.#cursor = unreadable ? '' : first.cursor;
    if (whole) this.#wholeAgainAt = Date.now() + WHOLE_MS * (1 + Math.random() / 2); // not all outposts at once
    return { outpost: first.outpost, providers: [...withHeaders(rest, managed_headers), ...told], told };
  }

  async #ask(query: string): Promise<ConfigurationAnswer<OutpostInstance> | undefined> {
    try {
      return readConfigurationAnswer(await getJson(this.#fetch, `api/v3/${CONFIGURATION_PATH}?${query}`));
    } catch (error) {
      if (!(error instanceof UnexpectedAnswer)) throw error;
      if (error.status === 404)
        this.#ours = false; // the published way, until the next connection
      // 403 means the token or whose it is: where it works, it is nobody's that is an outpost
      else if (error.status === 403 && (await isAnswered(this.#fetch, INSTANCES))) throw noOutpost();
      else throw error;
      return undefined;
    }
  }
}

/** The providers with the very objects known before where nothing changed. */
function keepEqual(providers: readonly ProxyOutpostConfig[], known: readonly ProxyOutpostConfig[]) {
  const before = new Map(known.map((provider) => [provider.pk, provider]));
  return providers.map((provider) => {
    const same = before.get(provider.pk);
    return same !== undefined && isDeepStrictEqual(same, provider) ? same : provider;
  });
}

/** Names of headers are the same for all providers; told once, also for those that did not change. */
function withHeaders(providers: readonly ProxyOutpostConfig[], managed_headers: string[]): ProxyOutpostConfig[] {
  return providers.map((provider) => {
    const { gatehouse } = provider;
    if (gatehouse === undefined || isDeepStrictEqual(gatehouse.managed_headers, managed_headers)) return provider;
    return { ...provider, gatehouse: { ...gatehouse, managed_headers } };
  });
}
