import type { OutpostInstance, ProxyOutpostConfig } from '../../contract/api.ts';
import { readOutpostInstance, readPage, readProxyOutpostConfig } from '../../contract/decode.ts';
import { CodedError } from '../../contract/errors.ts';
import { SIGN_OUT_PATH } from '../../contract/extension.ts';
import type { SignOutReport } from '../../contract/extension.ts';
import type { Problem } from '../../outpost/exchange.ts';
import type { Certificates } from '../../outpost/listen/certificates.ts';
import { UnexpectedAnswer } from '../back-channel.ts';

const PAGE_SIZE = 100;
/** 100,000 providers: more is a server that counts wrongly. */
export const MAX_PAGES = 1000;

/** Which outpost a token belongs to: answered to every valid one. */
export const INSTANCES = 'api/v3/outposts/instances/';

/** What an outpost is and serves. */
export interface Configuration {
  outpost: OutpostInstance;
  providers: ProxyOutpostConfig[];
  /** those the providers name, as far as they could be had */
  certificates: Certificates;
}

/**
 * Fetches the configuration without its certificates (spec/outpost.md 16.2, 16.3).
 * @param fetch of a back channel: addresses are relative to the server
 * @param previous providers of the last configuration: one that arrives unreadable stays as it was
 * @param onUnreadable hears of each such provider
 * @throws CodedError, UnexpectedAnswer or a network error; then the last configuration stays in use as a whole
 */
export async function fetchConfiguration(
  fetch: typeof globalThis.fetch,
  previous: readonly ProxyOutpostConfig[],
  onUnreadable: (problem: string) => void,
): Promise<Omit<Configuration, 'certificates'>> {
  const [first] = readPage(await getJson(fetch, INSTANCES)).results;
  if (first === undefined) throw noOutpost();
  const outpost = readOutpostInstance(first);
  const providers: ProxyOutpostConfig[] = [];
  for (let page = 1, seen = 0; page > 0; seen += 1) {
    if (seen === MAX_PAGES) throw new CodedError('server-answer', 502, 'The list of providers does not end.');
    const { results, pagination } = readPage(
      await getJson(fetch, `api/v3/outposts/proxy/?page=${page}&page_size=${PAGE_SIZE}`),
    );
    for (const item of results) {
      const provider = readOr(item, previous, onUnreadable);
      if (provider) providers.push(provider);
    }
    page = pagination.next > page ? pagination.next : 0;
  }
  return { outpost, providers };
}

/** A provider; one that arrives unreadable stays as it was, if it was. */
export function readOr(
  item: unknown,
  previous: readonly ProxyOutpostConfig[],
  onUnreadable: (problem: string) => void,
) {
  try {
    return readProxyOutpostConfig(item);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    onUnreadable(error.detail ?? error.message);
    const pk = (item as { pk?: unknown } | null)?.pk;
    return previous.find((known) => known.pk === pk);
  }
}

/**
 * Tells the server of a sign-out made here.
 * @returns false when this server will never take it: it has no such address, or the provider is no longer there or no
 *   longer this outpost's
 * @throws UnexpectedAnswer or a network error when it should be told again later
 */
export async function reportSignOut(fetch: typeof globalThis.fetch, report: SignOutReport): Promise<boolean> {
  const answer = await fetch(`api/v3/${SIGN_OUT_PATH}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(report),
  });
  await answer.body?.cancel();
  if (answer.ok) return true;
  if (answer.status === 400 || answer.status === 404 || answer.status === 405) return false;
  // 403 means the provider or the token: where the token works, it is the provider
  if (answer.status === 403 && (await isAnswered(fetch, INSTANCES))) return false;
  throw new UnexpectedAnswer('sign-out', answer.status);
}

/**
 * Writes a problem of the set-up into the server's events.
 * @throws UnexpectedAnswer or a network error when it should be told again later; what the server refuses never comes in
 */
export async function reportProblem(fetch: typeof globalThis.fetch, problem: Problem): Promise<void> {
  const { code, message, clientIp, context } = problem;
  const answer = await fetch('api/v3/events/events/', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      action: 'configuration_error',
      app: 'authentik.providers.proxy',
      context: { message, code, ...context },
      ...(clientIp === undefined ? {} : { client_ip: clientIp }),
    }),
  });
  await answer.body?.cancel();
  if (answer.status >= 500 || answer.status === 429) throw new UnexpectedAnswer('problem', answer.status);
}

/** Whether the token works at this address. */
export async function isAnswered(fetch: typeof globalThis.fetch, address: string): Promise<boolean> {
  const answer = await fetch(address);
  await answer.body?.cancel();
  return answer.ok;
}

/** @throws UnexpectedAnswer or a network error */
export async function getJson(fetch: typeof globalThis.fetch, address: string): Promise<unknown> {
  const answer = await fetch(address);
  if (!answer.ok) {
    await answer.body?.cancel();
    throw new UnexpectedAnswer(address, answer.status, answer.headers.get('location'));
  }
  return answer.json();
}

export const noOutpost = () =>
  new CodedError('no-outpost', 502, 'This token belongs to no outpost. Copy the token of the outpost again.');
