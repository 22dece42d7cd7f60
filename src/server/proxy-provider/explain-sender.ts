/** Who a person is at an address, as the outpost knows them from their session. */
import { ApplicationsByAddress } from '../../contract/domain-applications.ts';
import { InvalidInput } from '../../contract/errors.ts';
import { explainTexts as texts } from '../../look/texts-explain.ts';
import type { AccessRules } from '../../rules/access-rules.ts';
import type { Address } from '../../rules/address.ts';
import { hostName } from '../../rules/address.ts';
import { readPath } from '../../rules/canonical-path.ts';
import type { Sender } from '../../rules/judge.ts';
import { checkSignIn, domainApplicationsOf } from '../access/domain-applications.ts';
import { userByUsername } from '../directory/users.ts';
import type { Db } from '../storage/database.ts';
import type { ApplicationRow, ProviderRow, UserRow } from '../storage/rows.ts';
import { ruleGroups } from './person-headers.ts';

/** The place asked for. */
export interface Place {
  provider: ProviderRow;
  application: ApplicationRow;
  rules: AccessRules;
  address: Address;
}

/**
 * @param username undefined = nobody is signed in
 * @param steps gets a sentence per finding
 * @throws InvalidInput when there is no such user
 */
export async function senderAt(db: Db, place: Place, username: string | undefined, steps: string[]): Promise<Sender> {
  if (username === undefined) {
    steps.push(texts.nobody);
    return { kind: 'nobody' };
  }
  const user = await userByUsername(db, username);
  if (user === undefined) throw new InvalidInput({ user: [`There is no user called ${JSON.stringify(username)}.`] });
  const refusal = await refusalOf(db, place, user);
  if (refusal !== undefined) {
    steps.push(refusal);
    return { kind: 'outsider' };
  }
  steps.push(texts.member(user.username));
  const groups = await ruleGroups(db, place.provider, user);
  if (groups.length > 0) steps.push(texts.inGroups(user.username, groups.join(', ')));
  else if (place.rules.groups.length > 0) steps.push(texts.inNoGroup(user.username));
  return { kind: 'member', groups };
}

/** Below a domain-level provider the person must be let into each application the address may belong to. */
async function refusalOf(db: Db, place: Place, user: UserRow): Promise<string | undefined> {
  const { provider, application, address } = place;
  const access = await checkSignIn(db, user, provider, application);
  if (!access.passing) return texts.outsider(user.username, access.reasons.join(', '));
  const bound = (await domainApplicationsOf(db, [provider.id])).get(provider.id) ?? [];
  if (provider.mode !== 'forward_domain' || bound.length === 0) return undefined;
  const own = { slug: application.slug, name: application.name, host: '', path: '/' };
  const path = readPath(address.rawPath);
  const readings = path.kind === 'plain' ? path.readings : undefined;
  const asked = new ApplicationsByAddress(bound, own).find(hostName(address.authority), readings);
  const open = access.open.map(({ slug }) => slug);
  const closed = asked.find(({ slug }) => !open.includes(slug));
  return closed === undefined ? undefined : texts.outsideOf(user.username, closed.name);
}
