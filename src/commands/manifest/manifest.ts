/** `gatehouse manifest compose|kubernetes --outpost NAME`: what runs an outpost of its own, with its token. */
import { PROVIDER_MODES } from '../../contract/api.ts';
import type { ProviderMode } from '../../contract/api.ts';
import { CodedError } from '../../contract/errors.ts';
import type { Settings } from '../../settings/settings.ts';
import { apiAccess, ApiClient } from '../api-client.ts';
import { composeManifest } from './compose.ts';
import { kubernetesManifest } from './kubernetes.ts';
import { manifestValues } from './values.ts';
import type { ManifestValues, ManifestWishes, OutpostFacts } from './values.ts';

export const PLATFORMS = {
  compose: composeManifest,
  kubernetes: kubernetesManifest,
} as const satisfies Readonly<Record<string, (values: ManifestValues) => string>>;

export type Platform = keyof typeof PLATFORMS;

export const isPlatform = (name: string): name is Platform => Object.hasOwn(PLATFORMS, name);

export interface ManifestRequest extends ManifestWishes {
  platform: Platform;
  /** name of the outpost */
  outpost: string;
}

type Json = Readonly<Record<string, unknown>>;

/** @throws CodedError when the server cannot be asked, or the outpost is none that is deployed */
export async function manifestText(settings: Settings, request: ManifestRequest): Promise<string> {
  const client = new ApiClient(apiAccess(settings));
  try {
    const list = `outposts/instances/?name__iexact=${encodeURIComponent(request.outpost)}`;
    const outpost = await client.named(list, request.outpost);
    if (outpost['managed'] !== null) {
      throw new CodedError(
        'outpost-embedded',
        400,
        `${JSON.stringify(request.outpost)} is the outpost inside the server: it runs where the server runs. Make another for other places.`,
      );
    }
    return PLATFORMS[request.platform](manifestValues(await readOutpost(client, outpost), request));
  } finally {
    await client.close();
  }
}

async function readOutpost(client: ApiClient, outpost: Json): Promise<OutpostFacts> {
  const { providers, config } = outpost;
  if (!Array.isArray(providers) || typeof config !== 'object' || config === null) throw unreadable('outpost');
  const token = await client.get(`core/tokens/${encodeURIComponent(text(outpost, 'token_identifier'))}/view_key/`);
  return {
    name: text(outpost, 'name'),
    pk: text(outpost, 'pk'),
    config: config as Json,
    token: text(token, 'key'),
    providers: await providersOf(client, new Set(providers)),
  };
}

async function providersOf(client: ApiClient, pks: ReadonlySet<unknown>): Promise<OutpostFacts['providers']> {
  const found: { mode: ProviderMode; external_host: string }[] = [];
  for (let page = 1; pks.size > 0 && page > 0;) {
    const { results, pagination } = await client.get(`providers/proxy/?page_size=1000&page=${page}`);
    if (!Array.isArray(results)) throw unreadable('providers');
    for (const provider of results as Json[]) {
      if (!pks.has(provider['pk'])) continue;
      const mode = PROVIDER_MODES.find((known) => known === provider['mode']);
      if (mode === undefined) throw unreadable('provider');
      found.push({ mode, external_host: text(provider, 'external_host') });
    }
    page = Number((pagination as Json | undefined)?.['next'] ?? 0);
  }
  return found;
}

function text(answer: Json, key: string): string {
  const value = answer[key];
  if (typeof value === 'string') return value;
  throw unreadable(key);
}

const unreadable = (what: string) =>
  new CodedError('api-answer', 502, `The server told no ${what} this command can read.`);
