/** Headers a provider sends beside the published ones: sets that other ecosystems read, and names of one's own. */
import { canonicalCase, foldHeaderName, headerNameProblem } from './headers.ts';

/** One header whose value is a claim of the person's token. */
export interface ClaimHeader {
  name: string;
  claim: string;
}

export const HEADER_PRESETS = ['remote', 'x_forwarded', 'x_auth_request'] as const;
export type HeaderPreset = (typeof HEADER_PRESETS)[number];

const USER = 'preferred_username';

const PRESETS: Readonly<Record<HeaderPreset, readonly (readonly [name: string, claim: string])[]>> = {
  remote: [
    ['Remote-User', USER],
    ['Remote-Groups', 'groups'],
    ['Remote-Email', 'email'],
    ['Remote-Name', 'name'],
  ],
  x_forwarded: [
    ['X-Forwarded-User', USER],
    ['X-Forwarded-Email', 'email'],
    ['X-Forwarded-Groups', 'groups'],
    ['X-Forwarded-Preferred-Username', USER],
  ],
  x_auth_request: [
    ['X-Auth-Request-User', USER],
    ['X-Auth-Request-Email', 'email'],
    ['X-Auth-Request-Groups', 'groups'],
    ['X-Auth-Request-Preferred-Username', USER],
  ],
};

/** A header as it is sent. */
export interface SentHeader {
  /** in wire casing */
  readonly name: string;
  readonly folded: string;
  readonly claim: string;
  /** between the members of a list: a comma in presets, as their ecosystems have it, else the published one */
  readonly separator: '|' | ',';
}

/** @returns each header once: a name of one's own takes the place of a preset's */
export function sentHeaders(settings: {
  readonly header_presets: readonly HeaderPreset[];
  readonly header_claims: readonly ClaimHeader[];
}): SentHeader[] {
  const sent = new Map<string, SentHeader>();
  const add = (name: string, claim: string, separator: SentHeader['separator']) => {
    const folded = foldHeaderName(name);
    sent.set(folded, { name: canonicalCase(name), folded, claim, separator });
  };
  for (const preset of settings.header_presets) for (const [name, claim] of PRESETS[preset]) add(name, claim, ',');
  for (const { name, claim } of settings.header_claims) {
    if (nameProblem(name) === undefined) add(name, claim, '|');
  }
  return [...sent.values()];
}

/** Letters that mean nothing in any configuration the name is written into. */
const NAME = /^[A-Za-z][A-Za-z0-9-]{0,99}$/;
const CLAIM = /^[\x21-\x7e]{1,200}$/;

/** @returns one sentence per problem of `header_claims` */
export function claimHeaderProblems(headers: readonly ClaimHeader[]): string[] {
  const seen = new Set<string>();
  return headers.flatMap(({ name, claim }) => {
    const problems: string[] = [];
    const problem = nameProblem(name);
    if (problem !== undefined) problems.push(`${JSON.stringify(name)}: ${problem}.`);
    else if (seen.has(foldHeaderName(name))) problems.push(`${name} is given twice.`);
    seen.add(foldHeaderName(name));
    if (!CLAIM.test(claim)) problems.push(`${JSON.stringify(name)}: give the name of a claim, such as email.`);
    if (claim === 'ak_proxy') problems.push(`${JSON.stringify(name)}: ak_proxy may hold secrets and is not sent.`);
    return problems;
  });
}

function nameProblem(name: string): string | undefined {
  if (!NAME.test(name)) return 'a header name begins with a letter and has letters, digits and hyphens only';
  if (foldHeaderName(name) === 'authorization') return 'this header is set by basic_auth_enabled or additionalHeaders';
  return headerNameProblem(name);
}
