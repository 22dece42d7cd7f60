/** The headers an application or its reverse proxy is given (spec/outpost.md 7). */
import type { ProxyOutpostConfig } from '../contract/api.ts';
import type { Claims } from '../contract/claims.ts';
import type { SentHeader } from '../contract/header-presets.ts';
import {
  basicCredentials,
  canonicalCase,
  foldHeaderName,
  headerValue,
  IDENTITY_HEADERS,
  joinList,
  LEGACY_HEADERS,
  parseAdditionalHeaders,
} from '../contract/headers.ts';
import type { HeaderEntry } from '../contract/headers.ts';
import type { Generation } from '../contract/paths.ts';
import { OUTPOST_USER_AGENT, PUBLISHED_VERSION } from '../contract/version.ts';
import { claimValues } from './claim-headers.ts';
import type { Session } from './session/session.ts';

/** What the headers say about the site itself. */
export interface MetaFacts {
  readonly jwks: string;
  readonly outpost: string;
  readonly provider: string;
  readonly application: string;
  /** folded names of headers operators added for people of this provider, and of those in `sent` */
  readonly managed: ReadonlySet<string>;
  /** presets of the provider, and its own names with values from claims */
  readonly sent: readonly SentHeader[];
}

/** What of it says something about the person. */
export type PersonFacts = Pick<MetaFacts, 'managed' | 'sent'>;

/** Each generation names the version the way its own release did. */
const META_VERSION: Readonly<Record<Generation, string>> = {
  outpost: OUTPOST_USER_AGENT,
  akprox: `authentik-outpost@${PUBLISHED_VERSION}`,
};

/**
 * All managed headers for one session.
 * @returns name, value, name, value, … in wire casing; values are safe for Node
 */
export function identityHeaders(facts: MetaFacts, generation: Generation, session: Session): string[] {
  return [...personHeaders(facts, generation, session), ...metaHeaders(facts, generation)];
}

/**
 * What they say about the person: the same at every application of a domain. Of headers with the same name a person's own
 * comes first, then the provider's, then the older generation's.
 */
export function personHeaders(facts: PersonFacts, generation: Generation, session: Session): string[] {
  const { claims } = session;
  const groups = joinList(claims.groups);
  const values = [
    claims.preferred_username,
    groups,
    joinList(claims.entitlements),
    claims.email,
    claims.name,
    claims.sub,
    session.token,
  ];
  const flat: string[] = [];
  values.forEach((value, i) => flat.push(IDENTITY_HEADERS[i] ?? '', headerValue(value)));
  const given = new Set<string>();
  for (const [name, value] of session.extra) {
    flat.push(canonicalCase(name), headerValue(value));
    given.add(foldHeaderName(name));
  }
  const sent = claimValues(facts.sent, session.token);
  facts.sent.forEach(({ name, folded }, i) => {
    if (!given.has(folded)) flat.push(name, sent[i] ?? '');
    given.add(folded);
  });
  if (generation === 'akprox') {
    const legacy = [claims.preferred_username, groups, claims.email, claims.preferred_username, claims.sub];
    LEGACY_HEADERS.forEach((name, i) => {
      if (!given.has(foldHeaderName(name))) flat.push(name, headerValue(legacy[i] ?? ''));
      given.add(foldHeaderName(name));
    });
  }
  pushEmpty(flat, facts.managed, given);
  return flat;
}

/** What they say about the application: the same for everybody. */
export function metaHeaders(facts: MetaFacts, generation: Generation): string[] {
  const values = [facts.jwks, facts.outpost, facts.provider, facts.application, META_VERSION[generation]];
  const names = IDENTITY_HEADERS.slice(-values.length);
  return names.flatMap((name, i) => [name, values[i] ?? '']);
}

/**
 * All managed headers, empty, for requests of nobody: a reverse proxy that copies them overwrites what a client sent.
 */
export function anonymousHeaders(facts: MetaFacts, generation: Generation): string[] {
  const names = generation === 'akprox' ? [...IDENTITY_HEADERS, ...LEGACY_HEADERS] : IDENTITY_HEADERS;
  const flat = names.flatMap((name) => [name, '']);
  pushEmpty(flat, facts.managed, new Set(names.map(foldHeaderName)));
  return flat;
}

function pushEmpty(flat: string[], managed: ReadonlySet<string>, given: ReadonlySet<string>): void {
  for (const name of managed) if (!given.has(name)) flat.push(canonicalCase(name), '');
}

/**
 * Headers of a person whose token carries the attributes itself, i.e. one of a server that is not ours
 * (spec/outpost.md 7.2, seed 002: without a password attribute the password is empty).
 */
export function headersFromAttributes(provider: ProxyOutpostConfig, claims: Claims): readonly HeaderEntry[] {
  const attributes = claims.ak_proxy.user_attributes;
  const { headers } = parseAdditionalHeaders(attributes['additionalHeaders']);
  const named = headers.some(([name]) => foldHeaderName(name) === 'authorization');
  if (!provider.basic_auth_enabled || named) return headers;
  const credentials = basicCredentials(
    attributes[provider.basic_auth_user_attribute],
    attributes[provider.basic_auth_password_attribute],
    claims.email,
  );
  return [credentials, ...headers];
}
