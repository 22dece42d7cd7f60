/** Protections of what is made from credentials and tokens. */
import { edit } from './support/switch.ts';
import type { Switch } from './support/switch.ts';

export const madeSwitches: readonly Switch[] = [
  {
    rule: 'F',
    title: 'app passwords open a domain to who may open a part of it, whoever asks',
    edits: [edit('server/oidc/machine-token.ts', 'const access = extension\n', 'const access = extension || user\n')],
    noticed: ['F30'],
  },
  {
    rule: 'F',
    title: 'introspection vouches for a whole domain to whoever asks',
    edits: [edit('server/oidc/introspect.ts', 'const access = extension\n', 'const access = extension || user\n')],
    noticed: ['F30'],
  },
  {
    rule: 'A',
    title: 'names may hold what vanishes in a header',
    edits: [edit('server/directory/names.ts', 'return /\\p{Cc}/u.test(text);', 'return text === "\\u0001";')],
    noticed: ['A30'],
  },
];
