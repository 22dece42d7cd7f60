/** Why a request would be answered as it is: what outposts decide by, asked with what the server knows. */
import { outpostPath, querySignature } from '../../contract/paths.ts';
import { InvalidInput } from '../../contract/errors.ts';
import type { ProviderSettings } from '../../contract/provider-settings.ts';
import { explainTexts as texts } from '../../look/texts-explain.ts';
import { AccessRules } from '../../rules/access-rules.ts';
import type { Question, Winner } from '../../rules/access-rules.ts';
import { canonicalOrigin, readAddress } from '../../rules/address.ts';
import { readPath } from '../../rules/canonical-path.ts';
import { readExternalHost } from '../../rules/external-host.ts';
import { answerOf, judge } from '../../rules/judge.ts';
import type { Answer } from '../../rules/judge.ts';
import { readSkipLines } from '../../rules/skip-lines.ts';
import { applicationOfProvider } from '../access/applications.ts';
import { notFound } from '../not-found.ts';
import type { Db } from '../storage/database.ts';
import type { ProviderRow } from '../storage/rows.ts';
import { senderAt } from './explain-sender.ts';
import { modeOf, providerById, settingsOf } from './providers.ts';
import { routeProblem } from './route.ts';

export interface ExplainRequest {
  /** undefined = not known, as behind nginx */
  method: string | undefined;
  /** absolute address, as a client would ask for it */
  url: string;
  /** undefined = nobody is signed in */
  username: string | undefined;
}

/** A rule as the settings have it. */
export interface ExplainedRule {
  kind: Winner['kind'];
  /** line or place in the list, counted from 1; null for the default and for public assets */
  position: number | null;
  pattern: string | null;
  methods: string[];
  effect: string;
  groups: string[];
}

export interface Explanation {
  decision: Answer['decision'] | 'endpoint';
  reason: string;
  /** a sentence for people */
  message: string;
  rule: ExplainedRule | null;
  /** how the decision comes about, a sentence each */
  steps: string[];
  /** what a reverse proxy gets that does not tell the method; null when it is the same */
  without_method: { decision: Answer['decision']; reason: string } | null;
}

/** @throws InvalidInput for an address or a user that is none, and when there is no such provider */
export async function explainAccess(db: Db, id: number, request: ExplainRequest): Promise<Explanation> {
  const provider = await providerById(db, id);
  if (provider === undefined) throw notFound('provider');
  const address = readAddress(request.url);
  if (address === undefined) throw new InvalidInput({ url: ['Give an address such as https://app.example.com/path.'] });
  const application = await applicationOfProvider(db, id);
  const nowhere = await routeProblem(db, provider, application, address);
  if (nowhere !== undefined || application === undefined) {
    return settled('error', 'unknown-host', [nowhere ?? texts.noApplication]);
  }
  const steps = [texts.reached(address.authority, provider.name)];
  if (isOwnAddress(provider, address.rawPath, address.query)) return settled('endpoint', 'endpoint', steps);

  const settings = settingsOf(provider);
  const { rules } = AccessRules.compile({
    ...settings,
    skip_path_regex: provider.skip_path_regex,
    mode: modeOf(provider),
    base_path: readExternalHost(provider.external_host)?.basePath ?? '',
  });
  const question: Question = {
    method: request.method,
    path: readPath(address.rawPath),
    origin: canonicalOrigin(address.scheme, address.authority),
  };
  const sender = await senderAt(db, { provider, application, rules, address }, request.username, steps);
  describe(provider, settings, rules, question, steps);

  const ruling = judge(rules, question, sender);
  const { decision, reason } = answerOf(ruling, sender);
  const blind = answerOf(judge(rules, { ...question, method: undefined }, sender), sender);
  const same = blind.decision === decision && blind.reason === reason;
  const by = 'by' in ruling ? ruling.by : undefined;
  return {
    ...settled(decision, reason, steps),
    rule: by === undefined ? null : explained(provider, settings, by),
    without_method: same ? null : blind,
  };
}

/** What the outpost answers itself (spec/outpost.md 3.1 and 2.1). */
function isOwnAddress(provider: ProviderRow, rawPath: string, query: string): boolean {
  const basePath = readExternalHost(provider.external_host)?.basePath ?? '';
  const below = basePath !== '' && rawPath.startsWith(basePath) ? rawPath.slice(basePath.length) : rawPath;
  return (outpostPath(below) ?? outpostPath(rawPath)) !== undefined || querySignature(query) !== undefined;
}

/** How the path reads, and which rules match. */
function describe(
  provider: ProviderRow,
  settings: ProviderSettings,
  rules: AccessRules,
  question: Question,
  steps: string[],
): void {
  const { path, method } = question;
  const readings = path === undefined || path.kind === 'malformed' ? [] : (path.readings ?? []);
  if (readings.length === 1) steps.push(texts.readings(readings.join()));
  if (readings.length > 1) steps.push(texts.severalReadings(readings.join(' ')));
  if (method === undefined) steps.push(texts.methodNotKnown);
  for (const winner of rules.winners(question) ?? []) {
    const rule = explained(provider, settings, winner);
    if (winner.kind === 'skip_path_regex') steps.push(texts.line(winner.line, rule.pattern ?? ''));
    else if (winner.kind === 'access_rule') steps.push(texts.rule(winner.index + 1, wording(rule)));
    else steps.push(winner.kind === 'public_assets' ? texts.asset : texts.byDefault(winner.effect));
  }
}

const wording = ({ methods, pattern, effect, groups }: ExplainedRule) =>
  [...(methods.length > 0 ? [methods.join(',')] : []), pattern, '->', [effect, ...groups].join(' ')].join(' ');

function explained(provider: ProviderRow, settings: ProviderSettings, winner: Winner): ExplainedRule {
  const plain = { kind: winner.kind, effect: winner.effect, groups: [...winner.groups], methods: [] };
  if (winner.kind === 'skip_path_regex') {
    const line = readSkipLines(provider.skip_path_regex).lines.find(({ number }) => number === winner.line);
    return { ...plain, position: winner.line, pattern: line?.pattern ?? null };
  }
  if (winner.kind !== 'access_rule') return { ...plain, position: null, pattern: null };
  const rule = settings.access_rules[winner.index];
  return { ...plain, position: winner.index + 1, pattern: rule?.pattern ?? null, methods: rule?.methods ?? [] };
}

function settled(decision: Explanation['decision'], reason: string, steps: string[]): Explanation {
  const sentences: Readonly<Record<string, string>> = texts.answers;
  return { decision, reason, message: sentences[reason] ?? reason, rule: null, steps, without_method: null };
}
