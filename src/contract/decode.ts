/**
 * Reads what a server answers to an outpost (spec/server.md 7). Lenient where the published outpost was not:
 * optional members get their published defaults, unknown ones are ignored, every problem is collected and named.
 */
import { DEFAULT_ACCESS_TOKEN_VALIDITY, PROVIDER_MODES } from './api.ts';
import type {
  OpenIDConnectConfiguration,
  OutpostInstance,
  Page,
  ProviderExtension,
  ProviderMode,
  ProxyOutpostConfig,
} from './api.ts';
import type { DomainApplication } from './domain-applications.ts';
import { CodedError } from './errors.ts';
import type { ConfigurationAnswer } from './extension.ts';
import { readProviderSettings } from './provider-settings.ts';

type Json = Readonly<Record<string, unknown>>;

/** Reads members of one object, collecting a problem per member that is missing or of the wrong type. */
class Reader {
  readonly problems: string[] = [];
  readonly #json: Json;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    this.#path = path;
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (!isObject) this.problems.push(`${path}: must be an object`);
    this.#json = isObject ? (value as Json) : {};
  }

  /** the object itself */
  get whole(): Json {
    return this.#json;
  }

  raw(key: string): unknown {
    return this.#json[key];
  }

  text(key: string, fallback?: string): string {
    return this.#read(key, fallback, (v) => typeof v === 'string', 'text') as string;
  }

  flag(key: string, fallback?: boolean): boolean {
    return this.#read(key, fallback, (v) => typeof v === 'boolean', 'true or false') as boolean;
  }

  number(key: string, fallback?: number): number {
    return this.#read(key, fallback, (v) => typeof v === 'number' && Number.isFinite(v), 'a number') as number;
  }

  texts(key: string, fallback?: string[]): string[] {
    const isTexts = (v: unknown) => Array.isArray(v) && v.every((x) => typeof x === 'string');
    return this.#read(key, fallback, isTexts, 'a list of texts') as string[];
  }

  #read(key: string, fallback: unknown, fits: (v: unknown) => boolean, what: string): unknown {
    const value = this.#json[key];
    if (fits(value)) return value;
    if ((value === undefined || value === null) && fallback !== undefined) return fallback;
    this.problems.push(`${this.#path}.${key}: must be ${what}`);
    return fallback ?? '';
  }
}

/**
 * One page of a list.
 * @throws CodedError `server-answer` when the envelope is not one
 */
export function readPage(value: unknown): Page<unknown> {
  const page = value as Partial<Page<unknown>> | null;
  if (typeof page !== 'object' || !Array.isArray(page?.results) || typeof page.pagination?.next !== 'number') {
    throw new CodedError('server-answer', 502, 'The identity server answered with something that is not a list.');
  }
  return page as Page<unknown>;
}

/** @throws CodedError `server-answer` naming every member at fault */
export function readOutpostInstance(value: unknown): OutpostInstance {
  const r = new Reader(value, 'outpost');
  const c = new Reader(r.raw('config'), 'outpost.config');
  const managed = r.raw('managed');
  const outpost: OutpostInstance = {
    pk: r.text('pk'),
    name: r.text('name'),
    refresh_interval_s: r.number('refresh_interval_s', 300),
    managed: typeof managed === 'string' ? managed : null,
    config: {
      authentik_host: c.text('authentik_host', ''),
      authentik_host_browser: c.text('authentik_host_browser', ''),
      authentik_host_insecure: c.flag('authentik_host_insecure', false),
      log_level: c.text('log_level', 'info'),
    },
  };
  refuse([...r.problems, ...c.problems]);
  return outpost;
}

/**
 * An answer about what is new; its providers are read one by one, {@link readProxyOutpostConfig}.
 * @throws CodedError `server-answer` naming every member at fault
 */
export function readConfigurationAnswer(value: unknown): ConfigurationAnswer<OutpostInstance> {
  const r = new Reader(value, 'configuration');
  const list = <T>(key: string, fits: (v: unknown) => v is T): T[] => {
    const found = r.raw(key);
    if (Array.isArray(found) && found.every(fits)) return found;
    r.problems.push(`configuration.${key}: must be a list`);
    return [];
  };
  const answer = {
    cursor: r.text('cursor'),
    whole: r.flag('whole'),
    managed_headers: list('managed_headers', (v) => typeof v === 'string'),
    providers: list('providers', (v): v is unknown => v !== undefined),
    removed: list('removed', (v) => typeof v === 'number'),
    next: r.number('next'),
  };
  refuse(r.problems);
  return { ...answer, outpost: readOutpostInstance(r.raw('outpost')) };
}

/** @throws CodedError `server-answer` naming the provider and every member at fault */
export function readProxyOutpostConfig(value: unknown): ProxyOutpostConfig {
  const name = (value as { name?: unknown } | null)?.name;
  const r = new Reader(value, `provider ${typeof name === 'string' ? JSON.stringify(name) : '?'}`);
  const o = new Reader(r.raw('oidc_configuration'), 'oidc_configuration');
  const mode = r.text('mode', 'proxy');
  if (!PROVIDER_MODES.includes(mode as ProviderMode)) r.problems.push(`mode: ${JSON.stringify(mode)} is not known`);
  const certificate = r.raw('certificate');
  const extension = r.raw('gatehouse');
  const config: ProxyOutpostConfig = {
    pk: r.number('pk'),
    name: r.text('name'),
    internal_host: r.text('internal_host', ''),
    external_host: r.text('external_host'),
    internal_host_ssl_validation: r.flag('internal_host_ssl_validation', true),
    client_id: r.text('client_id'),
    client_secret: r.text('client_secret'),
    oidc_configuration: readOpenIDConnectConfiguration(o),
    cookie_secret: r.text('cookie_secret'),
    certificate: typeof certificate === 'string' ? certificate : null,
    skip_path_regex: r.text('skip_path_regex', ''),
    basic_auth_enabled: r.flag('basic_auth_enabled', false),
    basic_auth_password_attribute: r.text('basic_auth_password_attribute', ''),
    basic_auth_user_attribute: r.text('basic_auth_user_attribute', ''),
    mode: mode as ProviderMode,
    cookie_domain: r.text('cookie_domain', ''),
    access_token_validity:
      r.raw('access_token_validity') === null ? null : r.number('access_token_validity', DEFAULT_ACCESS_TOKEN_VALIDITY),
    intercept_header_auth: r.flag('intercept_header_auth', true),
    scopes_to_request: r.texts('scopes_to_request', []),
    assigned_application_slug: r.text('assigned_application_slug'),
    assigned_application_name: r.text('assigned_application_name'),
  };
  const problems = [...r.problems, ...o.problems];
  if (extension !== undefined && extension !== null) {
    const x = new Reader(extension, 'gatehouse');
    config.gatehouse = readProviderExtension(x);
    problems.push(...x.problems);
  }
  refuse(problems);
  return config;
}

function readOpenIDConnectConfiguration(o: Reader): OpenIDConnectConfiguration {
  return {
    issuer: o.text('issuer'),
    authorization_endpoint: o.text('authorization_endpoint'),
    token_endpoint: o.text('token_endpoint'),
    userinfo_endpoint: o.text('userinfo_endpoint', ''),
    end_session_endpoint: o.text('end_session_endpoint'),
    introspection_endpoint: o.text('introspection_endpoint', ''),
    jwks_uri: o.text('jwks_uri'),
    response_types_supported: o.texts('response_types_supported', []),
    id_token_signing_alg_values_supported: o.texts('id_token_signing_alg_values_supported', []),
    subject_types_supported: o.texts('subject_types_supported', []),
    token_endpoint_auth_methods_supported: o.texts('token_endpoint_auth_methods_supported', []),
  };
}

function readProviderExtension(x: Reader): ProviderExtension {
  const { settings, problems } = readProviderSettings(x.whole);
  x.problems.push(...problems);
  return {
    ...settings,
    managed_headers: x.texts('managed_headers', []),
    previous_cookie_secret: x.text('previous_cookie_secret', ''),
    applications: readApplications(x),
  };
}

function readApplications(x: Reader): DomainApplication[] {
  const list = x.raw('applications') ?? [];
  if (!Array.isArray(list)) x.problems.push('gatehouse.applications: must be a list');
  return (Array.isArray(list) ? (list as unknown[]) : []).map((item, index) => {
    const one = new Reader(item, `gatehouse.applications[${index}]`);
    const read = { slug: one.text('slug'), name: one.text('name'), host: one.text('host'), path: one.text('path') };
    x.problems.push(...one.problems);
    return read;
  });
}

function refuse(problems: readonly string[]): void {
  if (problems.length === 0) return;
  throw new CodedError(
    'server-answer',
    502,
    'The identity server sent a configuration this outpost cannot read; the last good one stays in use.',
    problems.join('; '),
  );
}
