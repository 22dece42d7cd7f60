/** The OpenID Provider. Routes are below the web path; whoever registers this gives the prefix. */
import type { FastifyPluginAsync } from 'fastify';
import type { ServerContext } from '../context.ts';
import { acceptCookies } from '../flows/cookies.ts';
import { pageErrors } from '../flows/errors.ts';
import { acceptForms } from '../flows/forms.ts';
import { pruneArtefacts } from './artefacts.ts';
import { authorizeRoutes } from './authorize.ts';
import { discoveryRoutes } from './discovery.ts';
import { endSessionRoutes } from './end-session.ts';
import { OidcEngine } from './engine.ts';
import { introspectionRoutes } from './introspect.ts';
import { jsonErrors } from './json-errors.ts';
import { tokenRoutes } from './token.ts';
import { issueTokens } from './tokens.ts';
import { userinfoRoutes } from './userinfo.ts';

const PRUNE_MS = 10 * 60_000;

export function oidcPlugin(ctx: ServerContext): FastifyPluginAsync {
  return async (scope) => {
    const engine = new OidcEngine();
    ctx.tokens.issue = async (request) => {
      const { accessToken, expiresIn } = await issueTokens(ctx, request);
      return { token: accessToken, expiresIn };
    };

    await acceptCookies(scope);
    acceptForms(scope);
    pageErrors(ctx, scope);
    authorizeRoutes(ctx, scope, engine);
    discoveryRoutes(ctx, scope);
    endSessionRoutes(ctx, scope);
    await scope.register(async (machines) => {
      jsonErrors(ctx, machines);
      tokenRoutes(ctx, machines, engine);
      userinfoRoutes(ctx, machines);
      introspectionRoutes(ctx, machines);
    });

    const prune = () =>
      pruneArtefacts(ctx.db, Date.now()).catch((error: unknown) =>
        ctx.log.warn({ err: error }, 'old tokens were not removed'),
      );
    const timer = setInterval(() => void prune(), PRUNE_MS).unref();
    scope.addHook('onClose', async () => clearInterval(timer));
  };
}
