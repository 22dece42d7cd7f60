/** The account machines act as that show nothing but the client secret (spec/server.md 5.6): one for each provider. */
import type { Change, ServerContext } from '../context.ts';
import { withoutControls } from '../directory/names.ts';
import { createUser, userById, userByUsername } from '../directory/users.ts';
import type { Actor } from '../events/audit.ts';
import { notFound } from '../not-found.ts';
import { providerById } from '../proxy-provider/providers.ts';
import type { UserRow } from '../storage/rows.ts';
import type { Client } from './clients.ts';

const GENERATED_ATTRIBUTE = 'goauthentik.io/user/generated';
const SUFFIX = '-client_credentials';
/** Published: the name of the provider is cut there, so that the username has 150 characters at most. */
const NAME_LENGTH = 128;

/** Finds the account, or makes it at its first use. An inactive one is returned, too: it may do nothing. */
export async function clientAccount(ctx: ServerContext, client: Client, actor: Actor): Promise<UserRow> {
  const { machine_account } = client.provider;
  const known = machine_account === null ? undefined : await userById(ctx.db, machine_account);
  return known ?? ctx.change((tx) => makeAccount(tx, client), actor);
}

async function makeAccount(tx: Change, { provider, application }: Client): Promise<UserRow> {
  const now = await providerById(tx.db, provider.id);
  if (now === undefined) throw notFound('provider');
  // somebody was first
  const made = now.machine_account === null ? undefined : await userById(tx.db, now.machine_account);
  if (made !== undefined) return made;
  const user = await createUser(tx, {
    username: await freeUsername(tx, now),
    name: withoutControls(`${application.name} (client credentials)`),
    type: 'service_account',
    path: `goauthentik.io/apps/${application.slug}`,
    attributes: { [GENERATED_ATTRIBUTE]: true },
  });
  await tx.db.updateTable('proxy_provider').set({ machine_account: user.id }).where('id', '=', now.id).execute();
  return user;
}

/** As published; with the provider's number where somebody else has that name: nobody may become another account. */
async function freeUsername(tx: Change, provider: { id: number; name: string }): Promise<string> {
  const name = withoutControls(provider.name);
  const published = `ak-${name.slice(0, NAME_LENGTH)}${SUFFIX}`;
  if ((await userByUsername(tx.db, published)) === undefined) return published;
  const number = `-${provider.id}`;
  return `ak-${name.slice(0, NAME_LENGTH - number.length)}${number}${SUFFIX}`;
}
