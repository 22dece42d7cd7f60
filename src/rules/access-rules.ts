/**
 * Which rule decides about a request: `skip_path_regex` first, then the ordered rules, then whether it is one of the
 * public assets, then the default.
 */
import type { AccessRule, ProviderSettings, RuleEffect } from '../contract/provider-settings.ts';
import type { ProviderMode } from '../contract/api.ts';
import type { PathReading } from './canonical-path.ts';
import { globProblem, globToRegex } from './glob.ts';
import { PatternSet, regexProblem } from './patterns.ts';
import { isAsset, mayFetchAsset } from './public-assets.ts';
import { Recent } from './recent.ts';
import { readSkipLines } from './skip-lines.ts';

/** What the rules of a provider are made from. */
export interface RuleSettings extends Pick<ProviderSettings, 'access_rules' | 'access_default' | 'public_assets'> {
  skip_path_regex: string;
  /** path below which the application lives, without trailing slash */
  base_path: string;
  mode: ProviderMode;
}

export interface Question {
  /** undefined = not known: nginx does not tell it */
  method: string | undefined;
  /** the path as the application may read it; undefined = not known */
  path: PathReading | undefined;
  /**
   * scheme and authority asked for, as {@link file://./address.ts} writes them. Only looked at for providers of a
   * domain, whose `skip_path_regex` sees the full address; undefined = not known
   */
  origin: string | undefined;
}

/** A rule that decides, and where it stands. */
export type Winner =
  | { kind: 'skip_path_regex'; line: number; effect: 'public'; groups: readonly string[] }
  | { kind: 'access_rule'; index: number; effect: RuleEffect; groups: readonly string[] }
  | { kind: 'public_assets'; effect: 'public'; groups: readonly string[] }
  | { kind: 'access_default'; effect: RuleEffect; groups: readonly string[] };

/** The rules look at no longer paths, in characters: the time a pattern takes grows with the path. */
export const MAX_PATH = 8192;

/** Some applications tell upper and lower case in paths apart, some do not: what rules say must hold for both. */
const LETTERS = ['exact', 'folded'] as const;
const EXACT = ['exact'] as const;
type Letters = (typeof LETTERS)[number];

/** What was found for so many paths is kept, unless they are longer than this. */
const REMEMBERED = 512;
const MAX_REMEMBERED = 256;

const NO_GROUPS: readonly string[] = [];
const PUBLIC_ASSET: Winner = { kind: 'public_assets', effect: 'public', groups: NO_GROUPS };
const NO_METHODS: readonly string[] = [];

interface CompiledRule {
  winner: Winner;
  methods: readonly string[];
}

/** The rules of one provider, ready to be asked. Immutable. */
export class AccessRules {
  /** some requests may pass without a login, and not only for the names of public assets */
  readonly opens: boolean;
  /** some requests of people who may use the application are refused */
  readonly closes: boolean;
  /** some rule is for certain methods only */
  readonly namesMethods: boolean;
  /** every group that a rule names, sorted */
  readonly groups: readonly string[];
  readonly #lines: { patterns: PatternSet; winners: readonly Winner[] } | undefined;
  readonly #rules: { exact: PatternSet; folded: PatternSet; list: readonly CompiledRule[] } | undefined;
  readonly #otherwise: Winner;
  readonly #recent = new Recent<readonly Winner[]>(REMEMBERED);
  /** the place of public assets, if there are any */
  readonly #assetsBelow: string | undefined;
  readonly #fullAddress: boolean;

  private constructor(settings: RuleSettings, lines: ReturnType<typeof readSkipLines>['lines'], rules: Compiled[]) {
    const effects = new Set<RuleEffect>([settings.access_default, ...rules.map(({ rule }) => rule.winner.effect)]);
    this.opens = lines.length > 0 || effects.has('public');
    this.closes = effects.has('groups') || effects.has('deny');
    this.namesMethods = rules.some(({ rule }) => rule.methods.length > 0);
    this.groups = [...new Set(rules.flatMap(({ rule }) => rule.winner.groups))].sort();
    this.#fullAddress = settings.mode === 'forward_domain';
    this.#assetsBelow = settings.public_assets ? settings.base_path : undefined;
    this.#otherwise = { kind: 'access_default', effect: settings.access_default, groups: NO_GROUPS };
    if (lines.length > 0) {
      const winners = lines.map(({ number }): Winner => {
        return { kind: 'skip_path_regex', line: number, effect: 'public', groups: NO_GROUPS };
      });
      this.#lines = { patterns: new PatternSet(lines.map(({ pattern }) => pattern)), winners };
    }
    if (rules.length > 0) {
      const patterns = rules.map(({ regex }) => regex);
      const [exact, folded] = [new PatternSet(patterns), new PatternSet(patterns, 'folded')];
      this.#rules = { exact, folded, list: rules.map(({ rule }) => rule) };
    }
  }

  /** @returns the rules, and a sentence per part of the settings that cannot be used */
  static compile(settings: RuleSettings): { rules: AccessRules; problems: string[] } {
    const { lines, problems } = readSkipLines(settings.skip_path_regex);
    const sentences = problems.map((text) => `Unauthenticated paths: ${text} The line is not used.`);
    const rules = settings.access_rules.map((rule, index) => compileRule(rule, index, sentences));
    return { rules: new AccessRules(settings, lines, rules), problems: sentences };
  }

  /**
   * The rules that decide, at least one. More than one when the path has several readings, when rules fit only if upper
   * and lower case are the same, or when the method is not known: each of them decides in some case, so the request has
   * to satisfy all.
   * @returns undefined when the path is not known, not readable, or too long for rules to be asked
   */
  winners({ method, path, origin }: Question): readonly Winner[] | undefined {
    if (path === undefined || path.kind === 'malformed' || path.readings === undefined) return undefined;
    const [only, ...more] = path.readings;
    if (only === undefined || path.readings.some((reading) => reading.length > MAX_PATH)) return undefined;
    // methods are case-sensitive, but not all applications know
    const upper = method?.toUpperCase();
    if (more.length > 0 || this.#rules === undefined || only.length > MAX_REMEMBERED) {
      return this.#find(path.readings, upper, origin);
    }
    // line ends, since neither paths nor header values hold any; an unknown method is none that can be sent
    const key = `${upper ?? '\n'}\n${this.#fullAddress ? origin : ''}\n${only}`;
    let found = this.#recent.get(key);
    if (found === undefined) this.#recent.set(key, (found = this.#find(path.readings, upper, origin)));
    return found;
  }

  #find(readings: readonly string[], method: string | undefined, origin: string | undefined): readonly Winner[] {
    const found = new Set<Winner>();
    for (const reading of readings) {
      for (const letters of this.#rules === undefined ? EXACT : LETTERS) {
        if (method !== undefined) found.add(this.#winner(reading, method, origin, letters));
        else this.#winnersOfAnyMethod(reading, origin, letters, found);
      }
    }
    return [...found];
  }

  #winner(reading: string, method: string, origin: string | undefined, letters: Letters): Winner {
    const line = this.#line(reading, origin);
    if (line !== undefined) return line;
    for (const position of this.#rules?.[letters].matches(reading) ?? []) {
      const rule = this.#rules?.list[position];
      if (rule !== undefined && (rule.methods.length === 0 || rule.methods.includes(method))) return rule.winner;
    }
    return this.#byDefault(reading, method);
  }

  /** What decides for each method there may be. There are always more than the rules name. */
  #winnersOfAnyMethod(reading: string, origin: string | undefined, letters: Letters, found: Set<Winner>): void {
    const line = this.#line(reading, origin);
    if (line !== undefined) return void found.add(line);
    const decided = new Set<string>();
    for (const position of this.#rules?.[letters].matches(reading) ?? []) {
      const rule = this.#rules?.list[position];
      if (rule === undefined) continue;
      if (rule.methods.length === 0) return void found.add(rule.winner);
      if (rule.methods.some((method) => !decided.has(method))) found.add(rule.winner);
      for (const method of rule.methods) decided.add(method);
    }
    found.add(this.#byDefault(reading, undefined));
  }

  #byDefault(reading: string, method: string | undefined): Winner {
    const below = this.#assetsBelow;
    return below !== undefined && mayFetchAsset(method) && isAsset(reading, below) ? PUBLIC_ASSET : this.#otherwise;
  }

  #line(reading: string, origin: string | undefined): Winner | undefined {
    if (this.#lines === undefined || (this.#fullAddress && origin === undefined)) return undefined;
    const [first] = this.#lines.patterns.matches(this.#fullAddress ? `${origin}${reading}` : reading);
    return first === undefined ? undefined : this.#lines.winners[first];
  }
}

interface Compiled {
  rule: CompiledRule;
  regex: string;
}

/**
 * A rule that cannot be read was checked by another version of the server. Nobody knows what it was for, so nobody
 * passes: leaving it out might open what it kept closed.
 */
function compileRule(rule: AccessRule, index: number, problems: string[]): Compiled {
  const problem = rulePatternProblem(rule);
  if (problem !== undefined) {
    problems.push(`Access rule ${index + 1}: ${problem}. Until it is corrected, it refuses everything.`);
    const winner: Winner = { kind: 'access_rule', index, effect: 'deny', groups: NO_GROUPS };
    return { regex: '', rule: { winner, methods: NO_METHODS } };
  }
  const groups = rule.effect === 'groups' ? rule.groups : NO_GROUPS;
  return {
    regex: rule.match === 'glob' ? globToRegex(rule.pattern) : rule.pattern,
    rule: { winner: { kind: 'access_rule', index, effect: rule.effect, groups }, methods: methodsOf(rule) },
  };
}

/** What is wrong with rules, a sentence each, before they are saved. */
export function accessRuleProblems(rules: readonly AccessRule[]): string[] {
  return rules.flatMap((rule, index) => {
    const place = `Rule ${index + 1}`;
    const problem = rulePatternProblem(rule);
    const sentences = problem === undefined ? [] : [`${place}: ${problem}.`];
    if (rule.match === 'regex' && rule.pattern.includes('\\?')) {
      sentences.push(`${place}: rules see the path only, never the query. Leave out what follows \\?.`);
    }
    if (rule.effect === 'groups' && rule.groups.length === 0) {
      sentences.push(`${place}: name the groups whose members may pass.`);
    }
    if (rule.effect !== 'groups' && rule.groups.length > 0) {
      sentences.push(
        `${place}: groups have a meaning only with the effect groups. Leave them out, or change the effect.`,
      );
    }
    return sentences;
  });
}

/** @returns what is wrong with the pattern, without a full stop */
export function rulePatternProblem({ match, pattern }: Pick<AccessRule, 'match' | 'pattern'>): string | undefined {
  return match === 'glob' ? globProblem(pattern) : regexProblem(pattern);
}

/** Applications answer HEAD as they answer GET (RFC 9110 9.3.2), so a rule for GET is one for HEAD. */
function methodsOf({ methods }: AccessRule): readonly string[] {
  return methods.includes('GET') && !methods.includes('HEAD') ? [...methods, 'HEAD'] : methods;
}
