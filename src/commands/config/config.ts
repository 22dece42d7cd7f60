/** `gatehouse config <proxy> --provider NAME`: the text for a reverse proxy, with the provider's own values. */
import { PROVIDER_MODES } from '../../contract/api.ts';
import type { ProviderMode } from '../../contract/api.ts';
import { CodedError } from '../../contract/errors.ts';
import { sentHeaders } from '../../contract/header-presets.ts';
import { readProviderSettings } from '../../contract/provider-settings.ts';
import type { Settings } from '../../settings/settings.ts';
import { apiAccess, ApiClient } from '../api-client.ts';
import { TARGETS } from './targets.ts';
import type { Target } from './targets.ts';
import { configValues } from './values.ts';
import type { ProviderAnswer } from './values.ts';

export interface ConfigRequest {
  target: Target;
  /** name of the provider */
  provider: string;
  /** where the reverse proxy reaches the outpost; undefined = this machine */
  outpostUrl: string | undefined;
  /** where it reaches the application; undefined = the provider's internal host, else an example */
  upstream: string | undefined;
  /** domain level: host of the application; undefined = an example */
  host: string | undefined;
}

/** @throws CodedError when the server cannot be asked, or what it says cannot be written into a configuration */
export async function configText(settings: Settings, request: ConfigRequest): Promise<string> {
  const client = new ApiClient(apiAccess(settings));
  try {
    const list = `providers/proxy/?name__iexact=${encodeURIComponent(request.provider)}`;
    const found = await client.named(list, request.provider);
    const { settings: beyond } = readProviderSettings(
      await client.get(`providers/proxy/${Number(found['pk'])}/gatehouse/`),
    );
    const provider = { ...readProvider(found), headers: sentHeaders(beyond).map(({ name }) => name) };
    const outpostUrl = request.outpostUrl ?? `http://localhost:${settings.listen.http[0]?.port ?? 9000}`;
    return TARGETS[request.target](configValues(provider, { ...request, outpostUrl }));
  } finally {
    await client.close();
  }
}

function readProvider(answer: Readonly<Record<string, unknown>>): ProviderAnswer {
  const text = (key: string) => {
    const value = answer[key];
    if (typeof value === 'string') return value;
    throw new CodedError('api-answer', 502, `The provider the server told has no ${key}.`);
  };
  const mode = text('mode');
  if (!(PROVIDER_MODES as readonly string[]).includes(mode)) {
    throw new CodedError(
      'api-answer',
      502,
      `The provider has the mode ${JSON.stringify(mode)}, which is unknown here.`,
    );
  }
  return {
    name: text('name'),
    mode: mode as ProviderMode,
    external_host: text('external_host'),
    internal_host: text('internal_host'),
    cookie_domain: text('cookie_domain'),
  };
}
