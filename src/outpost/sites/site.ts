/** One protected application, ready to be asked about. Immutable; made anew when its configuration changes. */
import { DEFAULT_ACCESS_TOKEN_VALIDITY } from '../../contract/api.ts';
import type { OutpostInstance, ProviderMode, ProxyOutpostConfig } from '../../contract/api.ts';
import { sentHeaders } from '../../contract/header-presets.ts';
import { foldHeaderName, headerValue } from '../../contract/headers.ts';
import { CALLBACK_SIGNATURE, PREFIX_OF } from '../../contract/paths.ts';
import type { Generation } from '../../contract/paths.ts';
import { DEFAULT_PROVIDER_SETTINGS } from '../../contract/provider-settings.ts';
import { AccessRules } from '../../rules/access-rules.ts';
import { cookieDomain } from '../../rules/cookie-domain.ts';
import { readExternalHost } from '../../rules/external-host.ts';
import type { ExternalHost } from '../../rules/external-host.ts';
import { anonymousHeaders } from '../headers.ts';
import { METHOD_OVERRIDES } from '../listen/method-override.ts';
import type { MetaFacts } from '../headers.ts';
import { Backends } from '../proxy/backends.ts';
import type { Upstream } from '../proxy/target.ts';
import { Attempts } from '../session/attempt.ts';
import { cookieName } from '../session/cookies.ts';
import type { CookieScope } from '../session/cookies.ts';
import { SessionCookie } from '../session/session-cookie.ts';
import { clientPolicy } from './client-policy.ts';
import type { ClientPolicy } from './client-policy.ts';
import { SiteApplications } from './applications.ts';
import { rewriteEndpoints } from './endpoints.ts';
import type { Endpoints } from './endpoints.ts';
import { permitMeta } from './permit-meta.ts';
import type { PermitMeta } from './permit-meta.ts';
import { checkHeaders } from '../write-together.ts';
import type { CheckedHeaders } from '../write-together.ts';

export interface Site {
  readonly pk: number;
  readonly mode: ProviderMode;
  readonly provider: ProxyOutpostConfig;
  /** name shown to people */
  readonly application: string;
  readonly external: ExternalHost;
  readonly endpoints: Endpoints;
  readonly cookieScope: CookieScope;
  readonly cookie: SessionCookie;
  readonly attempts: Attempts;
  readonly rules: AccessRules;
  readonly clients: ClientPolicy;
  readonly meta: MetaFacts;
  /** folded names of headers that no client may send to the application in proxy mode */
  readonly removed: ReadonlySet<string>;
  /** the same, where Authorization held the credentials that let the request in */
  readonly removedWithCredentials: ReadonlySet<string>;
  /** what forward-auth answers say about the site itself */
  readonly permitMeta: PermitMeta;
  /** at domain level of our own server, which says which applications of the domain a person may open */
  readonly applications: SiteApplications | undefined;
  /** headers of an allowed request of nobody */
  readonly anonymous: Readonly<Record<Generation, CheckedHeaders>>;
  /** seconds */
  readonly validity: number;
  /** whether sign_out ends the whole server session */
  readonly signOutEverything: boolean;
  readonly hostHeader: 'backend' | 'original';
  /** origins beside the application's own whose pages may open WebSockets; `*` = all */
  readonly websocketOrigins: readonly string[];
  /** proxy mode only; undefined in the other modes and when internal_host is unusable */
  readonly upstream: Upstream | undefined;
  /** where tokens may lead single people instead */
  readonly backends: Backends;
  /** what the site was made from beside `provider` */
  readonly surroundings: string;
}

/** What sites share. */
export interface SiteSurroundings {
  readonly outpost: OutpostInstance;
  readonly hostBrowser: string | undefined;
  /** opens the connection pool of an `internal_host` */
  openUpstream(internalHost: string, verifyTls: boolean, ca: string): Upstream;
  /** the same for a backend that a token names; its connections are kept while they are used */
  openBackend(address: string, verifyTls: boolean, ca: string): Upstream;
}

/** Text that is equal exactly when one provider gives the same site. */
export function surroundingsOf({ outpost, hostBrowser }: SiteSurroundings): string {
  return JSON.stringify([outpost.name, outpost.managed, outpost.config, hostBrowser]);
}

/**
 * @returns the site and a sentence per part of the configuration that is not used; no site when nothing is left to
 *   serve (requests for it are then refused like those for any unknown host)
 */
export function buildSite(
  provider: ProxyOutpostConfig,
  around: SiteSurroundings,
): { site: Site | undefined; problems: string[] } {
  const external = readExternalHost(provider.external_host);
  if (external === undefined) {
    return { site: undefined, problems: ['External host: not an http or https address. The provider is not served.'] };
  }
  if (provider.cookie_secret === '' || provider.client_id === '') {
    return { site: undefined, problems: ['Cookie secret or client ID is empty. The provider is not served.'] };
  }
  const problems: string[] = [];
  const { rules, problems: ruleProblems } = AccessRules.compile({
    ...(provider.gatehouse ?? DEFAULT_PROVIDER_SETTINGS),
    skip_path_regex: provider.skip_path_regex,
    mode: provider.mode,
    base_path: external.basePath,
  });
  problems.push(...ruleProblems);
  const { domain, problem } = cookieDomain(provider.cookie_domain, external.hostname);
  if (problem !== undefined) problems.push(problem);
  if (provider.mode === 'forward_domain' && domain === undefined) {
    problems.push('Without a cookie domain only the external host itself is protected.');
  }

  const name = cookieName(provider.client_id);
  const endpoints = rewriteEndpoints(provider.oidc_configuration, around.outpost, around.hostBrowser);
  const scope: CookieScope = { domain, secure: external.scheme === 'https' };
  const managed = new Set((provider.gatehouse?.managed_headers ?? []).map(foldHeaderName));
  if (provider.basic_auth_enabled) managed.add('authorization');
  const sent = sentHeaders(provider.gatehouse ?? DEFAULT_PROVIDER_SETTINGS);
  for (const { folded } of sent) managed.add(folded);
  const meta: MetaFacts = {
    jwks: headerValue(endpoints.jwks),
    outpost: headerValue(around.outpost.name),
    provider: headerValue(provider.name),
    application: headerValue(provider.assigned_application_slug),
    managed,
    sent,
  };
  const removed = rules.namesMethods ? new Set([...managed, ...METHOD_OVERRIDES]) : managed;
  const secrets = {
    clientId: provider.client_id,
    secret: provider.cookie_secret,
    previousSecret: provider.gatehouse?.previous_cookie_secret ?? '',
    scope,
  };
  const site: Site = {
    pk: provider.pk,
    mode: provider.mode,
    provider,
    application: provider.assigned_application_name || provider.name,
    external,
    endpoints,
    cookieScope: scope,
    cookie: new SessionCookie({ provider: provider.pk, name, ...secrets }),
    attempts: new Attempts({ cookieName: name, ...secrets }),
    rules,
    clients: clientPolicy(provider.gatehouse, external.basePath, provider.intercept_header_auth),
    meta,
    removed,
    removedWithCredentials: new Set([...removed, 'authorization']),
    applications: applicationsOf(provider, external, domain, meta),
    permitMeta: permitMeta(meta),
    anonymous: {
      outpost: checkHeaders(anonymousHeaders(meta, 'outpost')),
      akprox: checkHeaders(anonymousHeaders(meta, 'akprox')),
    },
    validity: provider.access_token_validity ?? DEFAULT_ACCESS_TOKEN_VALIDITY,
    signOutEverything: provider.gatehouse?.sign_out !== 'application',
    hostHeader: provider.gatehouse?.host ?? 'backend',
    websocketOrigins: provider.gatehouse?.websocket_origins ?? [],
    upstream: provider.mode === 'proxy' ? upstreamOf(provider, around, problems) : undefined,
    backends: backendsOf(provider, around),
    surroundings: surroundingsOf(around),
  };
  return { site, problems };
}

function applicationsOf(
  provider: ProxyOutpostConfig,
  external: ExternalHost,
  domain: string | undefined,
  meta: MetaFacts,
): SiteApplications | undefined {
  const bound = provider.gatehouse?.applications;
  // also where none is bound (any more): a login may have been for some application of the domain only
  if (provider.mode !== 'forward_domain' || bound === undefined) return undefined;
  const own = { slug: provider.assigned_application_slug, name: provider.assigned_application_name };
  const { hostname } = external;
  return new SiteApplications({ bound, own, domain: domain ?? hostname, authenticationHost: hostname, meta });
}

function upstreamOf(provider: ProxyOutpostConfig, around: SiteSurroundings, problems: string[]): Upstream | undefined {
  try {
    const { internal_host, internal_host_ssl_validation, gatehouse } = provider;
    return around.openUpstream(internal_host, internal_host_ssl_validation, gatehouse?.upstream_ca ?? '');
  } catch (error) {
    problems.push(error instanceof Error ? error.message : 'The internal host cannot be used.');
    return undefined;
  }
}

function backendsOf(provider: ProxyOutpostConfig, around: SiteSurroundings): Backends {
  const { internal_host, internal_host_ssl_validation, gatehouse } = provider;
  return new Backends(internal_host, gatehouse?.backend_hosts ?? [], (address) =>
    around.openBackend(address, internal_host_ssl_validation, gatehouse?.upstream_ca ?? ''),
  );
}

/** Redirect URI of a login begun under a prefix (spec/outpost.md 9.1). */
export function redirectUri(site: Site, generation: Generation): string {
  const { origin, basePath } = site.external;
  return `${origin}${basePath}${PREFIX_OF[generation]}/callback?${CALLBACK_SIGNATURE}=true`;
}

/** Address of one of the outpost's own endpoints, as a browser reaches it. */
export function ownEndpoint(site: Site, generation: Generation, rest: string): string {
  return `${site.external.origin}${site.external.basePath}${PREFIX_OF[generation]}${rest}`;
}
