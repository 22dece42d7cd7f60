/**
 * May this request pass? Pure: everything it looks at is in the input, everything it says in the {@link Decision}.
 * How a decision is presented is the dialects' business (design/architecture.md, decision 6).
 */
import { CodedError } from '../contract/errors.ts';
import type { Identity } from './identify/identify.ts';
import type { RequestKind } from './navigation.ts';
import type { Reason } from './reasons.ts';
import type { LiveSession } from './session/live.ts';
import type { PathReading } from './sites/canonical-path.ts';
import type { PathRules } from './sites/path-rules.ts';

export interface DecisionInput {
  identity: Identity;
  /** path the application would act on; undefined = not known, so nothing is public */
  path: PathReading | undefined;
  rules: PathRules;
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
    }
  | {
      verdict: 'login';
      reason: Reason;
      /** `redirect` to the login; `challenge` = 401 for programs; `frame` = 401 with a page that leads out of a frame */
      answer: 'redirect' | 'challenge' | 'frame';
      purpose: 'login' | 'renew';
    }
  | { verdict: 'deny'; reason: Reason; live: LiveSession; detail: string }
  | { verdict: 'error'; reason: Reason; error: CodedError };

const NO_COOKIES: readonly string[] = [];
const PUBLIC: Decision = { verdict: 'allow', reason: 'public-path', live: undefined, setCookies: NO_COOKIES };

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

  switch (identity.kind) {
    case 'denied':
      return { verdict: 'deny', reason: 'access-denied', live: identity.live, detail: identity.detail };
    case 'unsettled':
      return refuse('claims-outdated');
    case 'nobody':
      return { verdict: 'login', reason: identity.reason, answer: presentation(input.kind), purpose: 'login' };
  }
}

function presentation(kind: RequestKind): 'redirect' | 'challenge' | 'frame' {
  if (kind === 'background') return 'challenge';
  return kind === 'framed' ? 'frame' : 'redirect';
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
