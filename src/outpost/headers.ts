/** The headers an application or its reverse proxy is given (spec/outpost.md 7). */
import { foldHeaderName, headerValue, IDENTITY_HEADERS, joinList, LEGACY_HEADERS } from '../contract/headers.ts';
import type { HeaderEntry } from '../contract/headers.ts';
import { parseAdditionalHeaders } from '../contract/headers.ts';
import type { ProxyOutpostConfig } from '../contract/api.ts';
import type { Claims } from '../contract/claims.ts';
import type { Generation } from '../contract/paths.ts';
import { OUTPOST_USER_AGENT, PUBLISHED_VERSION } from '../contract/version.ts';
import type { Session } from './session/session.ts';

/** What the headers say about the site itself. */
export interface MetaFacts {
  readonly jwks: string;
  readonly outpost: string;
  readonly provider: string;
  readonly application: string;
  /** folded names of headers operators added for people of this provider */
  readonly managed: ReadonlySet<string>;
}

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
  return [...personHeaders(facts.managed, generation, session), ...metaHeaders(facts, generation)];
}

/** What they say about the person: the same at every application of a domain. */
export function personHeaders(managed: ReadonlySet<string>, generation: Generation, session: Session): string[] {
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
  const flat = values.flatMap((value, i) => [IDENTITY_HEADERS[i] ?? '', headerValue(value)]);
  const given = new Set<string>();
  for (const [name, value] of session.extra) {
    flat.push(canonicalCase(name), headerValue(value));
    given.add(foldHeaderName(name));
  }
  if (generation === 'akprox') {
    const legacy = [claims.preferred_username, groups, claims.email, claims.preferred_username, claims.sub];
    LEGACY_HEADERS.forEach((name, i) => {
      if (!given.has(foldHeaderName(name))) flat.push(name, headerValue(legacy[i] ?? ''));
      given.add(foldHeaderName(name));
    });
  }
  pushEmpty(flat, managed, given);
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

/** `x-test-HEADER` -> `X-Test-Header`, as the published outpost writes names. */
export function canonicalCase(name: string): string {
  return name
    .split('-')
    .map((part) => part.slice(0, 1).toUpperCase() + part.slice(1).toLowerCase())
    .join('-');
}

/**
 * Headers of a person whose token carries the attributes itself, i.e. one of a server that is not ours
 * (spec/outpost.md 7.2, seed 002: without a password attribute the password is empty).
 */
export function headersFromAttributes(provider: ProxyOutpostConfig, claims: Claims): HeaderEntry[] {
  const attributes = claims.ak_proxy.user_attributes;
  const { headers } = parseAdditionalHeaders(attributes['additionalHeaders']);
  const named = headers.some(([name]) => foldHeaderName(name) === 'authorization');
  if (!provider.basic_auth_enabled || named) return headers;
  const user = scalar(attributes[provider.basic_auth_user_attribute]) ?? claims.email;
  const password = scalar(attributes[provider.basic_auth_password_attribute]) ?? '';
  return [['Authorization', `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`], ...headers];
}

const scalar = (v: unknown) => (typeof v === 'string' ? v : typeof v === 'number' ? String(v) : undefined);
