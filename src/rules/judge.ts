/**
 * May this sender pass, as far as rules for paths go? Pure; the outpost, the REST interface and `gatehouse explain`
 * all ask here, so that they agree.
 */
import type { AccessRules, Question, Winner } from './access-rules.ts';
import type { RuleEffect } from '../contract/provider-settings.ts';

export type Sender =
  /** not signed in */
  | { kind: 'nobody' }
  /** signed in, and may use the application; `groups` as rules name them, undefined = not known */
  | { kind: 'member'; groups: readonly string[] | undefined }
  /** signed in, but not let in (yet): only what is public is open */
  | { kind: 'outsider' };

export type Ruling =
  /** anybody may pass; people who may use the application pass as themselves */
  | { verdict: 'public'; by: Winner }
  | { verdict: 'pass'; by: Winner | undefined }
  | { verdict: 'login'; by: Winner | undefined }
  /** an outsider at something that is not public */
  | { verdict: 'outside'; by: Winner | undefined }
  | { verdict: 'deny'; reason: 'rule-denies' | 'rule-needs-group'; by: Winner }
  | { verdict: 'error'; reason: 'path-malformed' | 'path-ambiguous' | 'path-not-known' };

const STRICTNESS: Readonly<Record<RuleEffect, number>> = { public: 0, signed_in: 1, groups: 2, deny: 3 };

export function judge(rules: AccessRules, question: Question, sender: Sender): Ruling {
  const { path } = question;
  if (path?.kind === 'malformed') return { verdict: 'error', reason: 'path-malformed' };
  const ambiguous = path?.kind === 'ambiguous';
  // By an address that servers read differently nobody gets in without a login (docs/architecture.md, decision 10).
  if (ambiguous && rules.opens && sender.kind !== 'member') return { verdict: 'error', reason: 'path-ambiguous' };

  const winners = rules.winners(question);
  if (winners === undefined) {
    if (rules.closes) return { verdict: 'error', reason: ambiguous ? 'path-ambiguous' : 'path-not-known' };
    return { verdict: without(sender), by: undefined };
  }
  const refusals = winners.filter((winner) => refuses(winner, sender));
  if (refusals.length > 0) {
    const refusal = strictest(refusals);
    return { verdict: 'deny', reason: refusal.effect === 'deny' ? 'rule-denies' : 'rule-needs-group', by: refusal };
  }
  const by = strictest(winners);
  if (by.effect === 'public' && !ambiguous) return { verdict: 'public', by };
  return { verdict: without(sender), by };
}

/** What becomes of a sender where nothing is public and no rule refuses. */
function without(sender: Sender): 'pass' | 'login' | 'outside' {
  if (sender.kind === 'member') return 'pass';
  return sender.kind === 'nobody' ? 'login' : 'outside';
}

/** Whether a login would be in vain: a rule refuses this sender whoever they turn out to be. */
function refuses({ effect, groups }: Winner, sender: Sender): boolean {
  if (effect === 'deny') return true;
  if (effect !== 'groups' || sender.kind !== 'member') return false;
  return sender.groups === undefined || !groups.some((group) => sender.groups?.includes(group));
}

function strictest(winners: readonly Winner[]): Winner {
  return winners.reduce((a, b) => (STRICTNESS[b.effect] > STRICTNESS[a.effect] ? b : a));
}

/** What a request is answered, in the words of logs and metrics (outpost/reasons.ts). */
export interface Answer {
  decision: 'allow' | 'login' | 'deny' | 'error';
  reason: string;
}

/** What comes of a ruling for a sender whose session is in order. */
export function answerOf(ruling: Ruling, sender: Sender): Answer {
  switch (ruling.verdict) {
    case 'pass':
      return { decision: 'allow', reason: 'session' };
    case 'public':
      if (sender.kind === 'member') return { decision: 'allow', reason: 'session' };
      return { decision: 'allow', reason: ruling.by.kind === 'public_assets' ? 'public-asset' : 'public-path' };
    case 'login':
      return { decision: 'login', reason: 'no-session' };
    case 'outside':
      return { decision: 'deny', reason: 'access-denied' };
    case 'deny':
    case 'error':
      return { decision: ruling.verdict, reason: ruling.reason };
  }
}
