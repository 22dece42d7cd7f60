/** Protections of rule M: credentials in headers, at the token endpoint, and in logs. */
import { edit } from './support/switch.ts';
import type { Switch } from './support/switch.ts';

export const credentialSwitches: readonly Switch[] = [
  {
    rule: 'M',
    title: 'an Authorization header counts as signed in',
    edits: [
      edit(
        'outpost/dialects/nginx.ts',
        "if (address?.kind === 'invalid')",
        "if (/^(basic|bearer) /i.test(request.headers.authorization ?? '')) return { verdict: 'allow', reason: 'public-path', live: undefined, setCookies: [] };\n  if (address?.kind === 'invalid')",
      ),
    ],
    noticed: ['M1'],
  },
  {
    rule: 'M',
    title: 'credentials that were used up go on to the application',
    edits: [
      edit(
        'outpost/dialects/proxy-mode.ts',
        'managed: input.identity.consumed === true ? site.removedWithCredentials : site.removed,',
        'managed: site.removed,',
      ),
    ],
    noticed: ['M4'],
  },
  {
    rule: 'M',
    title: 'credentials beside the session they made are the application’s',
    edits: [
      edit(
        'outpost/identify/credentials/used.ts',
        'return secret !== undefined && digest(used[0], secret) === used[1] ?',
        'return secret === undefined ?',
      ),
    ],
    noticed: ['M4'],
  },
  {
    rule: 'M',
    title: 'the answer of a question repeats credentials that were used up',
    edits: [edit('outpost/dialects/permit.ts', 'authorization !== undefined && !consumed &&', 'authorization &&')],
    noticed: ['M4'],
  },
  {
    rule: 'M',
    title: 'a verified answer is believed for its minute',
    edits: [
      edit(
        'outpost/identify/credentials/credentials.ts',
        "until > now() && stand(live, revocations, now()).kind === 'person'",
        'until > now()',
      ),
    ],
    noticed: ['M5'],
  },
  {
    rule: 'M',
    title: 'a verified answer counts for every application',
    edits: [
      edit(
        'outpost/identify/credentials/credentials.ts',
        'this.#digest(`${site.pk} ${header}`)',
        'this.#digest(header)',
      ),
      edit('outpost/identify/credentials/credentials.ts', 'if (live.site === site && until', 'if (until'),
    ],
    noticed: ['M6'],
  },
  {
    rule: 'M',
    title: 'guesses are not counted',
    edits: [
      edit('outpost/identify/credentials/failure-limit.ts', 'counted ? [] : limitsOf(attempt)', '[]'),
      // the server counts as well, and either would do for one application
      edit('server/oidc/wrong-credentials.ts', 'for (const { tried } of windows) tried.add(digest);', ''),
    ],
    noticed: ['M7'],
  },
  {
    rule: 'M',
    title: 'the log holds the query as it came',
    edits: [
      edit(
        'outpost/access-log.ts',
        'if (SECRET_PARAMETERS.has(decoded(name).toLowerCase()))',
        'if (SECRET_PARAMETERS.has(""))',
      ),
    ],
    noticed: ['M3'],
  },
  {
    rule: 'M',
    title: 'the log copies every header that is named',
    edits: [edit('outpost/access-log.ts', '.filter((name) => !SECRET_HEADERS.has(name))', '')],
    noticed: ['M3'],
  },
  {
    rule: 'M',
    title: 'addresses in logged headers stay as they came',
    edits: [
      edit('outpost/access-log.ts', 'ADDRESS_FIELDS.has(field) ? redactTarget(value) : clip(value)', 'clip(value)'),
    ],
    noticed: ['M3'],
  },
  {
    rule: 'M',
    title: 'an app password is good for any name',
    edits: [
      edit(
        'server/oidc/machine-login.ts',
        'if (found === undefined || found.user.username_folded !== account) return undefined;',
        'if (found === undefined) return undefined;',
      ),
    ],
    noticed: ['M21'],
  },
  {
    rule: 'M',
    title: 'tokens outlive their app password',
    edits: [
      edit(
        'server/directory/tokens.ts',
        "if (token.intent === 'app_password') await endCredential(tx, token.uuid);",
        '',
      ),
    ],
    noticed: ['M20'],
  },
  {
    rule: 'M',
    title: 'every key is an app password',
    edits: [
      edit(
        'server/oidc/machine-login.ts',
        "findToken(ctx.db, key, ['app_password'])",
        "findToken(ctx.db, key, ['app_password', 'api'])",
      ),
    ],
    noticed: ['M2', 'M21'],
  },
  {
    rule: 'M',
    title: 'whoever has an app password is told what the outpost is told',
    edits: [
      edit(
        'server/oidc/machine-token.ts',
        'extension: extension || !(proven || (await servedElsewhere(ctx, client))),',
        'extension,',
      ),
    ],
    noticed: ['M22'],
  },
];
