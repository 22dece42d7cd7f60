/** The pages of the identity server. Routes are below the web path; whoever registers this gives the prefix. */
import type { FastifyPluginAsync } from 'fastify';
import { style, styleFile } from '../../look/style.ts';
import type { ServerContext } from '../context.ts';
import { acceptCookies } from './cookies.ts';
import { redirect } from './answers.ts';
import { acceptForms } from './forms.ts';
import { loginRoutes } from './login.ts';
import type { LoginOptions } from './login.ts';
import { logoutRoutes } from './logout.ts';
import { LOGIN, LOGOUT } from './paths.ts';
import { portalRoutes } from './portal.ts';
import { setupRoutes } from './setup.ts';
import { pageErrors } from './errors.ts';

export function flowsPlugin(ctx: ServerContext, options: LoginOptions = {}): FastifyPluginAsync {
  return async (scope) => {
    await acceptCookies(scope);
    acceptForms(scope);
    pageErrors(ctx, scope);
    loginRoutes(ctx, scope, options);
    logoutRoutes(ctx, scope);
    setupRoutes(ctx, scope);
    portalRoutes(ctx, scope);

    scope.get(`/static/${styleFile}`, async (_request, reply) =>
      reply
        .header('content-type', 'text/css; charset=utf-8')
        .header('cache-control', 'public, max-age=31536000, immutable')
        .header('x-content-type-options', 'nosniff')
        .send(style),
    );

    // The published names of "whatever flow is the default": they keep the query, as published
    const query = (url: string) => (url.includes('?') ? url.slice(url.indexOf('?')) : '');
    scope.get('/flows/-/default/authentication/', async (request, reply) =>
      redirect(reply, ctx.settings.webPath + LOGIN + query(request.url)),
    );
    scope.get('/flows/-/default/invalidation/', async (request, reply) =>
      redirect(reply, ctx.settings.webPath + LOGOUT + query(request.url)),
    );
  };
}
