/**
 * May this request pass? Pure: everything it looks at is in the input, everything it says in the {@link Decision}.
 * How a decision is presented is the dialects' business (design/architecture.md, decision 6).
 */
import { CodedError } from '../contract/errors.ts';
import { identityAt } from './identify/identify.ts';
import type { CredentialProblem, Identity } from './identify/identify.ts';
import { overridesMethod } from './listen/method-override.ts';
import { loginAnswer } from './navigation.ts';
import type { LoginAnswer, RequestKind } from './navigation.ts';
import { readPreflight } from './preflight.ts';
import type { Preflight } from './preflight.ts';
import type { Reason } from './reasons.ts';
import type { LiveSession } from './session/live.ts';
import type { SiteApplication } from './sites/applications.ts';
import { allowsPreflight } from './sites/client-policy.ts';
import type { ClientPolicy } from './sites/client-policy.ts';
import type { AccessRules, Question } from '../rules/access-rules.ts';
import { judge } from '../rules/judge.ts';
import { isAssetPath } from '../rules/public-assets.ts';
import type { Sender } from '../rules/judge.ts';

/** With what is asked for; a path that is not known is never public. */
export interface DecisionInput extends Question {
  identity: Identity;
  rules: AccessRules;
  /** as received: name, value, … */
  rawHeaders: readonly string[];
  clients: ClientPolicy;
  /** applications of a domain the address may belong to: the person must be let into all of them */
  applications: readonly SiteApplication[];
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
      /** at domain level: the one that is opened */
      application?: SiteApplication | undefined;
    }
  | {
      verdict: 'login';
      reason: Reason;
      answer: LoginAnswer;
      purpose: 'login' | 'renew';
    }
  | {
      verdict: 'deny';
      reason: Reason;
      /** undefined = nobody is signed in, and a login would be in vain */
      live: LiveSession | undefined;
      /** the kind of rule that refused, for the denial page */
      detail: string;
      /** the one of a domain that is closed; undefined = the site as a whole */
      application?: SiteApplication | undefined;
    }
  | { verdict: 'error'; reason: Reason; error: CodedError };

const NO_COOKIES: readonly string[] = [];
const PUBLIC: Decision = { verdict: 'allow', reason: 'public-path', live: undefined, setCookies: NO_COOKIES };
const PUBLIC_ASSET: Decision = { verdict: 'allow', reason: 'public-asset', live: undefined, setCookies: NO_COOKIES };

export function decide(input: DecisionInput): Decision {
  const { path, rules, applications } = input;
  if (path?.kind === 'malformed') return refuse('path-malformed');
  const identity = identityAt(input.identity, applications);
  // most sites let people who may use the application open all of it: then no rule needs to be asked
  if (identity.kind === 'person' && !rules.closes) return letIn(identity, input);

  const ruling = judge(rules, asActedOn(input), senderOf(identity));
  switch (ruling.verdict) {
    case 'error':
      return refuse(ruling.reason);
    case 'deny': {
      const live = identity.kind === 'nobody' ? undefined : identity.live;
      return { verdict: 'deny', reason: ruling.reason, live, detail: ruling.reason };
    }
    case 'public':
      if (identity.kind === 'person') return letIn(identity, input);
      return ruling.by.kind === 'public_assets' ? PUBLIC_ASSET : PUBLIC;
    case 'pass':
    case 'login':
    case 'outside':
      break;
  }
  if (identity.kind === 'person') return letIn(identity, input);

  // Or a preflight, which browsers send without cookies, where the provider says so.
  const { clients, method } = input;
  const preflight = readPreflight(method, input.rawHeaders);
  if (preflight !== undefined && allowsPreflight(clients, preflight.origin)) return letPreflight(clients, preflight);

  switch (identity.kind) {
    case 'denied': {
      const { live, detail, application } = identity;
      return { verdict: 'deny', reason: 'access-denied', live, detail, application };
    }
    case 'unsettled':
      return refuse('claims-outdated');
    case 'nobody': {
      const { credentials } = identity;
      if (credentials !== undefined && clients.interceptsCredentials) return unaccepted(credentials);
      // neither a preflight nor a manifest is ever a person's doing, also where the browser says nothing about it
      const isAsset = isAssetPath(path, clients.basePath);
      const kind = input.kind === 'unknown' && (isAsset || preflight !== undefined) ? 'background' : input.kind;
      const answer = loginAnswer(kind, clients.loginAnswer);
      return { verdict: 'login', reason: identity.reason, answer, purpose: 'login' };
    }
  }
}

/** Credentials that do not count are answered so, and not with a login, where the provider says so (seed 002). */
export function unaccepted(problem: CredentialProblem): Exclude<Decision, { verdict: 'allow' }> {
  if (problem !== 'credentials-invalid') return refuse(problem);
  return { verdict: 'login', reason: problem, answer: 'unauthorized', purpose: 'login' };
}

/** Where an application might take another method, the one asked for tells nothing: all that rules say must hold. */
function asActedOn(input: DecisionInput): Question {
  const doubtful = input.rules.namesMethods && overridesMethod(input.rawHeaders);
  return doubtful ? { ...input, method: undefined } : input;
}

function letPreflight(clients: ClientPolicy, preflight: Preflight): Decision {
  const allow = { verdict: 'allow', reason: 'preflight', live: undefined, setCookies: NO_COOKIES } as const;
  return clients.preflight === 'answer' ? { ...allow, preflight } : allow;
}

function letIn(
  { live, reason, setCookies }: Identity & { kind: 'person' },
  { renew, applications }: DecisionInput,
): Decision {
  if (renew) return { verdict: 'login', reason: 'session-renewal', answer: 'redirect', purpose: 'renew' };
  return { verdict: 'allow', reason, live, setCookies, application: applications[0] };
}

/** Who asks, as rules see it. */
export function senderOf(identity: Identity): Sender {
  if (identity.kind === 'nobody') return NOBODY;
  return identity.kind === 'person' ? { kind: 'member', groups: identity.live.session.ruleGroups } : OUTSIDER;
}

const NOBODY: Sender = { kind: 'nobody' };
const OUTSIDER: Sender = { kind: 'outsider' };

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
  'path-ambiguous': [
    400,
    'Servers read this address in different ways, so that the rules of this application cannot decide about it.',
  ],
  'path-not-known': [
    403,
    'The access rules of this application cannot be applied: the path is too long, or the reverse proxy does not say which one was asked for.',
  ],
  'claims-outdated': [
    503,
    'Your account was changed, and the identity server cannot be asked what that means. Try again in a moment.',
  ],
  'credentials-limited': [429, 'Too many wrong credentials came from this address. Try again in ten minutes.'],
  'credentials-unchecked': [
    503,
    'The credentials in the header Authorization cannot be verified right now. Try again in a moment.',
  ],
  'no-original-address': [
    500,
    'The reverse proxy asked whether this may pass, but did not say which address was asked for.',
  ],
  'websocket-origin': [403, 'A page of another address tried to open a WebSocket to this application.'],
  'original-address-invalid': [400, 'The reverse proxy named an address that cannot be read, or two that differ.'],
} as const satisfies Partial<Record<Reason, readonly [number, string]>>;

export type RefusalReason = keyof typeof REFUSALS;
