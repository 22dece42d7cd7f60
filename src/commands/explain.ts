/** `gatehouse explain`: why a request would be answered as it is, in sentences. */
import { PROVIDER_MODES } from '../contract/api.ts';
import type { ProviderMode } from '../contract/api.ts';
import { CodedError } from '../contract/errors.ts';
import { explainTexts as texts } from '../look/texts-explain.ts';
import { readAddress } from '../rules/address.ts';
import type { Address } from '../rules/address.ts';
import { hostedOf, HostTable } from '../rules/hosts.ts';
import type { Settings } from '../settings/settings.ts';
import { ApiClient, apiAccess } from './api-client.ts';

export interface ExplainOptions {
  method: string;
  url: string;
  /** user name; undefined = nobody is signed in */
  user: string | undefined;
  /** name of the provider; undefined = the one that has the host */
  provider: string | undefined;
}

/** The parts of `POST /providers/proxy/<pk>/explain/` that are shown. */
interface Explanation {
  decision: string;
  reason: string;
  message: string;
  steps: string[];
  without_method: { decision: string; reason: string } | null;
}

/** @throws CodedError `explain-address`, `no-such-object`, and those of the REST client */
export async function explainText(settings: Settings, options: ExplainOptions): Promise<string> {
  const address = readAddress(options.url);
  if (address === undefined) {
    throw new CodedError('explain-address', 400, 'Give an absolute address, such as https://app.example.com/path.');
  }
  const client = new ApiClient(apiAccess(settings));
  try {
    const pk = await providerFor(client, options.provider, address);
    const { method, url, user = null } = options;
    const answer = await client.post(`providers/proxy/${pk}/explain/`, { method: method.toUpperCase(), url, user });
    return written(options, answer as unknown as Explanation);
  } finally {
    await client.close();
  }
}

function written({ method, url, user }: ExplainOptions, answer: Explanation): string {
  const { decision, reason, message, steps, without_method: blind } = answer;
  const lines = [
    `${method.toUpperCase()} ${url}${user === undefined ? '' : ` as ${user}`}: ${decision} (${reason})`,
    message,
    ...steps.map((step) => `- ${step}`),
    ...(blind === null ? [] : [`- ${texts.withoutMethod(blind.decision, blind.reason)}`]),
  ];
  return `${lines.join('\n')}\n`;
}

async function providerFor(client: ApiClient, name: string | undefined, address: Address): Promise<number> {
  if (name !== undefined) {
    const found = await client.named(`providers/proxy/?name__iexact=${encodeURIComponent(name)}`, name);
    return Number(found['pk']);
  }
  const { table } = HostTable.build((await allProviders(client)).flatMap((entry) => hosted(entry) ?? []));
  const found = table.find(address.authority, address.scheme);
  if (found === undefined) {
    throw new CodedError('no-such-object', 404, `No provider on the server has the host ${address.authority}.`);
  }
  return found.pk;
}

type Entry = Readonly<Record<string, unknown>>;

async function allProviders(client: ApiClient): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let page = 1; page > 0;) {
    const answer = await client.get(`providers/proxy/?page=${page}&page_size=1000`);
    entries.push(...((answer['results'] as Entry[] | undefined) ?? []));
    page = (answer['pagination'] as { next?: number } | undefined)?.next ?? 0;
  }
  return entries;
}

function hosted({ pk, name, mode, external_host, cookie_domain }: Entry) {
  const known = PROVIDER_MODES.includes(mode as ProviderMode) ? (mode as ProviderMode) : 'proxy';
  return hostedOf(Number(pk), String(name), known, String(external_host), String(cookie_domain));
}
