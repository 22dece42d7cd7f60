/** Who stands behind a bearer key. */
import { ADMIN_USERNAME } from '../bootstrap/setup-token.ts';
import type { ServerContext } from '../context.ts';
import { findToken } from '../directory/tokens.ts';
import { userById, userByUsername } from '../directory/users.ts';
import { sameSecret } from '../link.ts';
import type { OutpostRow, UserRow } from '../storage/rows.ts';
import { embeddedOutpost } from './embedded.ts';
import { outpostOfUser } from './outposts.ts';

export interface Caller {
  user: UserRow;
  /** set when the caller is an outpost's service account */
  outpost: OutpostRow | undefined;
}

/**
 * @param key what followed `Bearer `
 * @param internal the outpost itself calls over the private socket; only there boot secrets are worth anything
 * @returns the owner of an API token that is valid now, else `undefined`
 */
export async function authenticateBearer(
  ctx: ServerContext,
  key: string,
  internal: boolean,
): Promise<Caller | undefined> {
  if (key === '') return undefined;
  if (internal && ctx.embeddedToken !== '' && sameSecret(key, ctx.embeddedToken)) {
    const outpost = await embeddedOutpost(ctx.db);
    const user = outpost === undefined ? undefined : await userById(ctx.db, outpost.user_id);
    return user === undefined || user.is_active === 0 ? undefined : { user, outpost };
  }
  if (internal && ctx.demoToken !== undefined && sameSecret(key, ctx.demoToken)) {
    const user = await userByUsername(ctx.db, ADMIN_USERNAME);
    return user === undefined || user.is_active === 0 ? undefined : { user, outpost: undefined };
  }
  const found = await findToken(ctx.db, key, ['api']);
  return found === undefined ? undefined : { user: found.user, outpost: await outpostOfUser(ctx.db, found.user.id) };
}
