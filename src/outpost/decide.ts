/**
 * May this request pass? Pure: everything it looks at is in the input, everything it says in the {@link Decision}.
 * How a decision is presented is the dialects' business (design/architecture.md, decision 6).
 */
import { CodedError } from '../contract/errors.ts';
import type { Identity } from './identify/identify.ts';
import { loginAnswer } from './navigation.ts';
import type { LoginAnswer, RequestKind } from './navigation.ts';
import { readPreflight } from './preflight.ts';
import type { Preflight } from './preflight.ts';
import { isAssetPath, mayFetchAsset } from './public-assets.ts';
import type { Reason } from './reasons.ts';
import type { LiveSession } from './session/live.ts';
import type { PathReading } from './sites/canonical-path.ts';
import { allowsPreflight } from './sites/client-policy.ts';
import type { ClientPolicy } from './sites/client-policy.ts';
import type { PathRules } from './sites/path-rules.ts';

export interface DecisionInput {
  identity: Identity;
  /** path the application would act on; undefined = not known, so nothing is public */
  path: PathReading | undefined;
  rules: PathRules;
  /** what the application would be asked with; undefined = not known */
  method: string | undefined;
  /** as received: name, value, … */
  rawHeaders: readonly string[];
  clients: ClientPolicy;
  kind: RequestKind;
  /** the session is past half its life and can be renewed on the way (docs/architecture.md, decision 4) */
  renew: boolean;
}

export type Decision =
  | {
      verdict: 'allow';
      reason: Reason;
      /** whose headers go with the request; undefined = nobody's, a public path */
      live: LiveSession | undefined;
      setCookies: readonly string[];
      /** a preflight that is to be answered in place of the application, where the outpost can (proxy mode) */
      preflight?: Preflight;
    }
  | {
      verdict: 'login';
      reason: Reason;
      answer: LoginAnswer;
      purpose: 'login' | 'renew';
    }
  | { verdict: 'deny'; reason: Reason; live: LiveSession; detail: string }
  | { verdict: 'error'; reason: Reason; error: CodedError };

const NO_COOKIES: readonly string[] = [];
const PUBLIC: Decision = { verdict: 'allow', reason: 'public-path', live: undefined, setCookies: NO_COOKIES };
const PUBLIC_ASSET: Decision = { verdict: 'allow', reason: 'public-asset', live: undefined, setCookies: NO_COOKIES };

export function decide(input: DecisionInput): Decision {
  const { identity, path, rules } = input;
  if (path?.kind === 'malformed') return refuse('path-malformed');

  if (identity.kind === 'person') {
    if (input.renew) return { verdict: 'login', reason: 'session-renewal', answer: 'redirect', purpose: 'renew' };
    const { live, reason, setCookies } = identity;
    return { verdict: 'allow', reason, live, setCookies };
  }

  // From here on only a path rule can let the request through, so the path must mean one thing.
  if (rules.any && path?.kind === 'ambiguous') return refuse('path-ambiguous');
  if (path !== undefined && rules.publicBy(path) !== undefined) return PUBLIC;

  // Or what browsers fetch without cookies, where the provider says so.
  const { clients, method } = input;
  const isAsset = isAssetPath(path, clients.basePath);
  if (isAsset && clients.publicAssets && mayFetchAsset(method)) return PUBLIC_ASSET;
  const preflight = readPreflight(method, input.rawHeaders);
  if (preflight !== undefined && allowsPreflight(clients, preflight.origin)) return letPreflight(clients, preflight);

  switch (identity.kind) {
    case 'denied':
      return { verdict: 'deny', reason: 'access-denied', live: identity.live, detail: identity.detail };
    case 'unsettled':
      return refuse('claims-outdated');
    case 'nobody': {
      // neither a preflight nor a manifest is ever a person's doing, also where the browser says nothing about it
      const kind = input.kind === 'unknown' && (isAsset || preflight !== undefined) ? 'background' : input.kind;
      const answer = loginAnswer(kind, clients.loginAnswer);
      return { verdict: 'login', reason: identity.reason, answer, purpose: 'login' };
    }
  }
}

function letPreflight(clients: ClientPolicy, preflight: Preflight): Decision {
  const allow = { verdict: 'allow', reason: 'preflight', live: undefined, setCookies: NO_COOKIES } as const;
  return clients.preflight === 'answer' ? { ...allow, preflight } : allow;
}

/**
 * An error as a decision: status and sentence come from the fixed list.
 * @param hint a sentence more, about this very set-up
 */
export function refuse(reason: RefusalReason, hint = ''): Extract<Decision, { verdict: 'error' }> {
  const [status, text] = REFUSALS[reason];
  return { verdict: 'error', reason, error: new CodedError(reason, status, `${text} ${hint}`.trim()) };
}

const REFUSALS = {
  'path-malformed': [400, 'This address cannot be opened: it holds parts that servers read in different ways.'],
  'path-ambiguous': [400, 'This address cannot be opened without signing in: servers read it in different ways.'],
  'claims-outdated': [
    503,
    'Your account was changed, and the identity server cannot be asked what that means. Try again in a moment.',
  ],
  'no-original-address': [
    500,
    'The reverse proxy asked whether this may pass, but did not say which address was asked for.',
  ],
  'original-address-invalid': [400, 'The reverse proxy named an address that cannot be read, or two that differ.'],
} as const satisfies Partial<Record<Reason, readonly [number, string]>>;

export type RefusalReason = keyof typeof REFUSALS;
