/**
 * What can be set for a provider beyond the published keys (`/api/v3/providers/proxy/<pk>/gatehouse/`). Our server
 * keeps these settings, tells them to our own outposts, and leaves them out for all others.
 */
import { HEADER_PRESETS } from './header-presets.ts';
import type { ClaimHeader, HeaderPreset } from './header-presets.ts';

/** What a path rule does with the requests it matches. */
export const RULE_EFFECTS = ['public', 'signed_in', 'groups', 'deny'] as const;
export type RuleEffect = (typeof RULE_EFFECTS)[number];

/** One rule for paths. Rules are ordered: the first that matches decides. */
export interface AccessRule {
  /** `glob`: the whole path, `*` within a segment, `**` across segments. `regex`: RE2, found anywhere in the path. */
  match: 'glob' | 'regex';
  pattern: string;
  /** upper-case methods the rule is for; empty = all */
  methods: string[];
  effect: RuleEffect;
  /** names of groups, for the effect `groups`: members of any of them may pass */
  groups: string[];
}

export interface ProviderSettings {
  /** which Host the application sees in proxy mode (design/architecture.md 4) */
  host: 'backend' | 'original';
  /** what sign_out ends: this application's login, or the whole server session */
  sign_out: 'application' | 'everything';
  /** looked at in order, after `skip_path_regex` */
  access_rules: AccessRule[];
  /** what holds where no rule matches; `public` = protect only what rules name */
  access_default: 'signed_in' | 'public' | 'deny';
  /** whether clients that cannot show a login page get 401 with an explanation, or the redirect as published */
  login_answer: 'by_client' | 'published';
  /** CORS preflights of people who are not signed in: asked to log in like all others, passed on without identity, or answered here */
  preflight: 'login' | 'pass' | 'answer';
  /** origins that `preflight: answer` allows, e.g. `https://app.example.com` */
  preflight_origins: string[];
  /** whether web app manifests and the like, which browsers fetch without cookies, are public */
  public_assets: boolean;
  /** origins, beside the application's own, whose pages may open WebSockets; `*` = all */
  websocket_origins: string[];
  /** PEM of the authority that signs the application's certificate; empty = the usual ones */
  upstream_ca: string;
  /** sets of headers sent beside the published ones */
  header_presets: HeaderPreset[];
  /** headers with names of one's own; they take the place of a preset's of the same name */
  header_claims: ClaimHeader[];
  /** hosts, beside that of `internal_host`, that tokens may lead people to in proxy mode (rules/backend-hosts.ts) */
  backend_hosts: string[];
}

export const DEFAULT_PROVIDER_SETTINGS: Readonly<ProviderSettings> = {
  host: 'backend',
  sign_out: 'everything',
  access_rules: [],
  access_default: 'signed_in',
  login_answer: 'by_client',
  preflight: 'login',
  preflight_origins: [],
  public_assets: false,
  websocket_origins: [],
  upstream_ca: '',
  header_presets: [],
  header_claims: [],
  backend_hosts: [],
};

const CHOICES = {
  host: ['backend', 'original'],
  sign_out: ['application', 'everything'],
  access_default: ['signed_in', 'public', 'deny'],
  login_answer: ['by_client', 'published'],
  preflight: ['login', 'pass', 'answer'],
} as const;

/**
 * Reads settings that were checked when they were saved; what is missing has its default.
 * @param value parsed JSON
 * @returns the settings, and a sentence per member that cannot be read
 */
export function readProviderSettings(value: unknown): { settings: ProviderSettings; problems: string[] } {
  const given = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  const settings: ProviderSettings = { ...DEFAULT_PROVIDER_SETTINGS };
  const problems: string[] = [];
  const bad = (name: string) => problems.push(`gatehouse.${name} cannot be read`);
  const take = <T>(name: string, fits: (v: unknown) => v is T, set: (v: T) => void) => {
    const member = given[name];
    if (member === undefined) return;
    if (fits(member)) set(member);
    else bad(name);
  };
  for (const [name, choices] of Object.entries(CHOICES)) {
    take(
      name,
      (v): v is string => (choices as readonly unknown[]).includes(v),
      (v) => Object.assign(settings, { [name]: v }),
    );
  }
  take('access_rules', isRuleList, (v) => (settings.access_rules = v));
  take('preflight_origins', isTexts, (v) => (settings.preflight_origins = v));
  take('websocket_origins', isTexts, (v) => (settings.websocket_origins = v));
  take(
    'public_assets',
    (v) => typeof v === 'boolean',
    (v) => (settings.public_assets = v),
  );
  take(
    'upstream_ca',
    (v) => typeof v === 'string',
    (v) => (settings.upstream_ca = v),
  );
  take('header_presets', isPresets, (v) => (settings.header_presets = v));
  take('header_claims', isClaimHeaders, (v) => (settings.header_claims = v));
  take('backend_hosts', isTexts, (v) => (settings.backend_hosts = v));
  return { settings, problems };
}

const isTexts = (v: unknown): v is string[] => Array.isArray(v) && v.every((item) => typeof item === 'string');

const isPresets = (v: unknown): v is HeaderPreset[] =>
  isTexts(v) && v.every((item) => (HEADER_PRESETS as readonly string[]).includes(item));

const isClaimHeaders = (v: unknown): v is ClaimHeader[] =>
  Array.isArray(v) &&
  v.every(
    (item: Partial<ClaimHeader> | null) =>
      typeof item === 'object' && item !== null && typeof item.name === 'string' && typeof item.claim === 'string',
  );

const isRuleList = (v: unknown): v is AccessRule[] =>
  Array.isArray(v) &&
  v.every(
    (rule: Partial<AccessRule> | null) =>
      typeof rule === 'object' &&
      rule !== null &&
      (rule.match === 'glob' || rule.match === 'regex') &&
      typeof rule.pattern === 'string' &&
      isTexts(rule.methods) &&
      RULE_EFFECTS.includes(rule.effect as RuleEffect) &&
      isTexts(rule.groups),
  );
