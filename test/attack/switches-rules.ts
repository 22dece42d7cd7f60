/** Protections of access rules. */
import { edit } from './support/switch.ts';
import type { Switch } from './support/switch.ts';

export const ruleSwitches: readonly Switch[] = [
  {
    rule: 'C',
    title: 'only the first reading of a path is asked about',
    edits: [
      edit('rules/access-rules.ts', 'for (const reading of readings) {', 'for (const reading of [readings[0]!]) {'),
    ],
    noticed: ['C40'],
  },
  {
    rule: 'C',
    title: 'rules tell upper and lower case apart although the application may not',
    edits: [
      edit(
        'rules/access-rules.ts',
        "const LETTERS = ['exact', 'folded'] as const;",
        "const LETTERS = ['exact', 'exact'] as const;",
      ),
    ],
    noticed: ['C40'],
  },
  {
    rule: 'C',
    title: 'a rule that cannot be asked closes nothing',
    edits: [edit('rules/judge.ts', 'if (rules.closes) return', 'if (false) return')],
    noticed: ['C40'],
  },
  {
    rule: 'C',
    title: 'a method that is not known is GET',
    edits: [
      edit(
        'rules/access-rules.ts',
        'const upper = method?.toUpperCase();',
        "const upper = method?.toUpperCase() ?? 'GET';",
      ),
    ],
    noticed: ['C41'],
  },
  {
    rule: 'C',
    title: 'a header that names another method changes nothing about a rule',
    edits: [edit('outpost/decide.ts', 'input.rules.namesMethods && overridesMethod(input.rawHeaders)', 'false')],
    noticed: ['C42'],
  },
  {
    rule: 'C',
    title: 'headers that name another method reach the application',
    edits: [
      edit(
        'outpost/sites/site.ts',
        'rules.namesMethods ? new Set([...managed, ...METHOD_OVERRIDES]) : managed',
        'managed',
      ),
    ],
    noticed: ['C42'],
  },
  {
    rule: 'C',
    title: 'a rule for groups lets in whoever is signed in',
    edits: [
      edit(
        'rules/judge.ts',
        "if (effect !== 'groups' || sender.kind !== 'member') return false;",
        "if (effect !== 'deny') return false;",
      ),
    ],
    noticed: ['C43'],
  },
];
