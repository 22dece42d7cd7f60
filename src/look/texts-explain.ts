/** What `gatehouse explain` and the REST interface say about a decision; beside the catalogue in {@link file://./texts.ts}. */
const english = {
  /** what becomes of the request, for each reason word (outpost/reasons.ts) */
  answers: {
    session: 'It passes, and the application is told who it is.',
    'public-path': 'It passes without a login, as nobody.',
    'public-asset': 'It passes without a login, as nobody: it is one of the public assets.',
    'no-session': 'It is asked to sign in.',
    'access-denied': 'It is refused: the application does not let this person in.',
    'rule-denies': 'It is refused, whoever asks: a rule lets nobody in.',
    'rule-needs-group': 'It is refused: a rule lets in members of certain groups only.',
    'path-malformed': 'It is refused: the path holds parts that no honest client sends.',
    'path-ambiguous': 'It is refused: servers read this path in different ways, so that no rule can be relied on.',
    'path-not-known': 'It is refused: the path is too long for rules to be asked.',
    'unknown-host': 'It does not reach this provider.',
    endpoint: "It is one of the outpost's own addresses, answered without asking rules.",
  },
  noApplication: 'No application uses this provider, so no outpost serves it.',
  noOutpost: 'No outpost serves this provider. Add it to one.',
  otherProvider: (host: string, name: string) => `Requests for ${host} are answered by the provider ${name}.`,
  noProvider: (host: string, outpost: string) => `No provider of the outpost ${outpost} has the host ${host}.`,
  reached: (host: string, name: string) => `Requests for ${host} are answered by the provider ${name}.`,

  nobody: 'Nobody is signed in.',
  member: (username: string) => `${username} may use the application.`,
  outsider: (username: string, reasons: string) => `${username} may not use the application: ${reasons}.`,
  outsideOf: (username: string, application: string) =>
    `${username} may not use ${application}, to which the address belongs.`,
  inGroups: (username: string, groups: string) => `Of the groups that rules name, ${username} is in: ${groups}.`,
  inNoGroup: (username: string) => `${username} is in none of the groups that rules name.`,

  readings: (readings: string) => `Rules see the path as ${readings}.`,
  severalReadings: (readings: string) =>
    `Servers may read the path in several ways, and rules must hold for all: ${readings}.`,
  methodNotKnown: 'The method is not known, as behind nginx; rules must hold for every method.',

  line: (number: number, pattern: string) => `Line ${number} of skip_path_regex matches: ${pattern} -> public.`,
  rule: (number: number, text: string) => `Access rule ${number} matches: ${text}.`,
  asset: 'No access rule matches, and it is one of the public assets.',
  byDefault: (effect: string) => `No rule matches; the default is ${effect}.`,

  withoutMethod: (decision: string, reason: string) =>
    `Behind a reverse proxy that does not tell the method, such as plain nginx: ${decision} (${reason}).`,
};

export const explainTexts = english;
