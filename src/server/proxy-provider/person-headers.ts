/** What our own outposts learn about a person beside the token, never inside it (docs/architecture.md, decisions 9 and 23). */
import type { Cursor, TokenExtension } from '../../contract/extension.ts';
import { basicCredentials, foldHeaderName, parseAdditionalHeaders } from '../../contract/headers.ts';
import { applicationOfProvider } from '../access/applications.ts';
import { checkSignIn } from '../access/domain-applications.ts';
import { headerNames } from '../directory/attributes.ts';
import type { Attributes } from '../directory/attributes.ts';
import { allGroups } from '../directory/membership.ts';
import type { Db } from '../storage/database.ts';
import type { ProviderRow, UserRow } from '../storage/rows.ts';
import type { EvaluatedScopes } from './evaluate-scopes.ts';
import { mappingHeaderNames } from './mapping-headers.ts';
import { settingsOf } from './providers.ts';
import { auditSkipped } from './skipped-headers.ts';

/**
 * What goes beside a token: headers, groups that rules name, at domain level which applications the person may open.
 * @param evaluated with the claims of the token
 * @param cursor read before this is called, else a change in between would be missed
 */
export async function tokenExtension(
  db: Db,
  provider: ProviderRow,
  user: UserRow,
  { attributes }: Pick<EvaluatedScopes, 'attributes'>,
  cursor: Cursor,
): Promise<TokenExtension> {
  const { headers, problems } = personHeaders(provider, user, attributes);
  if (problems.length > 0) await auditSkipped(db, provider, user, problems);
  return {
    cursor,
    headers,
    rule_groups: await ruleGroups(db, provider, user),
    ...(await openApplications(db, provider, user)),
  };
}

/** Groups of the person, ancestors included, of those that access rules name: all of them might not fit a cookie. */
export async function ruleGroups(db: Db, provider: ProviderRow, user: UserRow): Promise<string[]> {
  const named = new Set(settingsOf(provider).access_rules.flatMap((rule) => rule.groups));
  if (named.size === 0) return [];
  return (await allGroups(db, user.id)).map((group) => group.name).filter((name) => named.has(name));
}

/** What the person may open below a domain-level provider; nothing is said about others, which have one application. */
async function openApplications(
  db: Db,
  provider: ProviderRow,
  user: UserRow,
): Promise<Pick<TokenExtension, 'applications'>> {
  const application = provider.mode === 'forward_domain' ? await applicationOfProvider(db, provider.id) : undefined;
  if (application === undefined) return {};
  const { open } = await checkSignIn(db, user, provider, application);
  return { applications: open.map(({ slug }) => slug) };
}

/**
 * Basic credentials first, then `additionalHeaders`, of which one named Authorization takes their place.
 * @param attributes of all groups, the person and mappings, merged
 * @returns the headers, and a sentence per entry that cannot be one
 */
export function personHeaders(
  provider: ProviderRow,
  user: UserRow,
  attributes: Attributes,
): { headers: [string, string][]; problems: readonly string[] } {
  const { headers: entries, problems } = parseAdditionalHeaders(attributes['additionalHeaders']);
  const added = entries.map(([name, value]): [string, string] => [name, value]);
  const own = added.some(([name]) => foldHeaderName(name) === 'authorization');
  if (provider.basic_auth_enabled === 0 || own) return { headers: added, problems };
  const credentials = basicCredentials(
    attributes[provider.basic_auth_user_attribute],
    attributes[provider.basic_auth_password_attribute],
    user.email,
  );
  return { headers: [credentials, ...added], problems };
}

/**
 * Folded names of every header some person, group or mapping adds: clients may never send them, not even people who have no
 * such attribute. `Authorization` stays the client's own where we do not set it.
 */
export async function operatorHeaderNames(db: Db): Promise<string[]> {
  const people = db.selectFrom('user').select('attributes').where('attributes', 'like', '%additionalHeaders%');
  const groups = db.selectFrom('group_').select('attributes').where('attributes', 'like', '%additionalHeaders%');
  const names = new Set<string>(await mappingHeaderNames(db));
  for (const { attributes } of await people.unionAll(groups).execute()) {
    for (const name of headerNames(JSON.parse(attributes) as Attributes)) names.add(name);
  }
  return [...names].sort();
}
