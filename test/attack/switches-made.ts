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
  {
    rule: 'I',
    title: 'signing out of an application leaves what was made from its tokens',
    edits: [edit('server/directory/credentials.ts', 'else await endCredential(tx, handle);', '')],
    noticed: ['I30'],
  },
  {
    rule: 'I',
    title: 'a token knows only the last thing it was made from',
    edits: [edit('server/oidc/accepted.ts', 'origins: handlesOf(token) };', 'origins: [token.uid] };')],
    noticed: ['I31'],
  },
  {
    rule: 'I',
    title: 'outposts do not hear that a code was used again',
    edits: [
      edit(
        'server/oidc/adapter.ts',
        'await exchange.ctx.change((tx) => endCredential(tx, grantId));',
        "await exchange.ctx.db.deleteFrom('oidc_artefact').where('grant_id', '=', grantId).where('model', '!=', 'AuthorizationCode').execute();",
      ),
    ],
    noticed: ['I32'],
  },
];
