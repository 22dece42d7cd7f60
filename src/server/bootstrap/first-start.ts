/** What every start makes sure of, and what only the first one does (spec/server.md 16). */
import type { Change, ServerContext } from '../context.ts';
import { createGroup, groupByName } from '../directory/groups.ts';
import { withoutControls } from '../directory/names.ts';
import { hashPassword } from '../directory/passwords.ts';
import { createToken } from '../directory/tokens.ts';
import { createUser, setPassword } from '../directory/users.ts';
import { ensureEmbeddedOutpost } from '../outposts/embedded.ts';
import { ensureScopeMappings } from '../proxy-provider/scope-mappings.ts';
import { ensureFlows } from './flows.ts';
import { ADMIN_USERNAME, openSetup } from './setup-token.ts';
import { hasSigningKey, makeSigningKey, storeSigningKey } from './signing-keys.ts';

export const ADMIN_GROUP = 'authentik Admins';

/**
 * Brings the database to the state the program relies on.
 * @returns the token of the one-time set-up link while no administrator can sign in
 */
export async function bootstrap(ctx: ServerContext): Promise<string | undefined> {
  const first = (await ctx.db.selectFrom('user').select('id').limit(1).executeTakeFirst()) === undefined;
  const { password } = ctx.settings.bootstrap;
  // Slow work before the change, which holds the only connection.
  const passwordHash = first && password !== undefined ? await hashPassword(password) : undefined;
  const key = (await hasSigningKey(ctx.db)) ? undefined : await makeSigningKey();
  return ctx.change(async (tx) => {
    await ensureFlows(tx.db);
    await ensureScopeMappings(tx.db);
    if (key !== undefined) await storeSigningKey(tx, key);
    if (first) await createAdministrator(tx, ctx.settings.bootstrap, passwordHash);
    await ensureEmbeddedOutpost(tx, ctx.settings);
    return openSetup(tx);
  });
}

async function createAdministrator(
  tx: Change,
  settings: { token: string | undefined; email: string | undefined },
  passwordHash: string | undefined,
): Promise<void> {
  const group =
    (await groupByName(tx.db, ADMIN_GROUP)) ?? (await createGroup(tx, { name: ADMIN_GROUP, is_superuser: true }));
  const admin = await createUser(tx, {
    username: ADMIN_USERNAME,
    name: 'authentik Default Admin',
    email: withoutControls(settings.email ?? ''),
    groups: [group.uuid],
  });
  if (passwordHash !== undefined) await setPassword(tx, admin.id, passwordHash);
  if (settings.token !== undefined) {
    await createToken(tx, {
      identifier: 'authentik-bootstrap-token',
      intent: 'api',
      user: admin.id,
      description: 'From AUTHENTIK_BOOTSTRAP_TOKEN at the first start',
      expiring: false,
      key: settings.token,
    });
  }
}
