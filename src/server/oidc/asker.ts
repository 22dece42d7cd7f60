/** Who asks, as expressions are told (docs/reference/expressions.md). */
import type { ServerContext } from '../context.ts';
import type { Asker } from '../proxy-provider/expression-facts.ts';

/**
 * The same for a login and for every refresh of its claims: otherwise an expression that looks at the address would
 * give something else as soon as an outpost asks.
 * @param sid of the session at this server; empty without one
 * @param clientIp of a machine, where there is no session
 */
export async function askerOf(ctx: ServerContext, sid: string, clientIp: string | undefined): Promise<Asker> {
  const live = sid === '' ? undefined : await ctx.sessions.findBySid(sid);
  return {
    path: `${ctx.settings.webPath.replace(/\/$/, '')}/application/o/token/`,
    clientIp: live?.session.last_ip ?? clientIp ?? '',
    userAgent: live?.session.last_user_agent ?? '',
  };
}
