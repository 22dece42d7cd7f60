/** The identity server as a whole: services, pages, OpenID Provider, REST and the outposts' link, on one private socket. */
import { randomUUID } from 'node:crypto';
import { chmod, rm } from 'node:fs/promises';
import fastify, { LogController } from 'fastify';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { LINK_HEADERS } from '../contract/extension.ts';
import type { ControlPlaneStart } from '../contract/process.ts';
import type { Settings } from '../settings/settings.ts';
import { apiPlugin } from './api/plugin.ts';
import { bootstrap } from './bootstrap/first-start.ts';
import { openContext } from './context.ts';
import type { ServerContext } from './context.ts';
import { redirect, sendError } from './flows/answers.ts';
import { pageErrors } from './flows/errors.ts';
import { flowsPlugin } from './flows/plugin.ts';
import { startHousekeeping } from './housekeeping.ts';
import { enforceLink } from './link.ts';
import type { LinkCredentials } from './link.ts';
import { oidcPlugin } from './oidc/plugin.ts';
import { runsExpressions } from './proxy-provider/custom-mappings.ts';
import { outpostUpgrades } from './outposts/upgrade.ts';

export interface ControlPlaneOptions extends ControlPlaneStart<Settings> {
  log: Logger;
}

export interface ControlPlane {
  /** token of the one-time set-up link, while no administrator can sign in */
  setupToken: string | undefined;
  /** finishes what is under way, then closes socket and database */
  close(): Promise<void>;
}

/** Longer than the workers keep idle connections (undici), so that it is never this side that closes one in use. */
const KEEP_ALIVE_MS = 75_000;
/** As much as the workers take (supervise/listener.ts). */
const MAX_HEAD_BYTES = 64 * 1024;

/**
 * Opens everything and listens.
 * @throws CodedError with a sentence for the terminal: data folder, database, secret key
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { settings, log, socketPath } = options;
  const ctx = await openContext({
    settings,
    log,
    embeddedToken: options.outpostToken,
    demoToken: options.demoToken,
    httpPort: options.httpPort,
  });
  try {
    const setupToken = await bootstrap(ctx);
    const app = await buildApp(ctx, { link: options.linkCredential, internal: options.internalCredential });
    await rm(socketPath, { force: true }); // left by an instance that was killed; the supervisor allows only one
    await app.listen({ path: socketPath });
    await chmod(socketPath, 0o600);
    const stopHousekeeping = startHousekeeping(ctx);
    if (await runsExpressions(ctx.db)) ctx.expressions.warm(); // the first login need not wait for it
    const close = async () => {
      stopHousekeeping();
      await ctx.hub.close();
      await ctx.expressions.close(); // whoever waits for Python goes on without it: requests under way must end soon
      await app.close();
      await ctx.close();
    };
    return { setupToken, close };
  } catch (error) {
    await ctx.close();
    throw error;
  }
}

/** The server without a listener. */
export async function buildApp(ctx: ServerContext, credentials: LinkCredentials): Promise<FastifyInstance> {
  // what it says by itself ("Server listening") is nobody's business but ours
  const loggerInstance: FastifyBaseLogger = ctx.log.child(
    {},
    { level: ctx.log.isLevelEnabled('debug') ? ctx.log.level : 'warn' },
  );
  const app = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }), // workers keep the access log
    keepAliveTimeout: KEEP_ALIVE_MS,
    http: { maxHeaderSize: MAX_HEAD_BYTES },
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 300 },
    genReqId: (raw) => {
      const given = raw.headers[LINK_HEADERS.requestId];
      return typeof given === 'string' && given !== '' ? given : randomUUID();
    },
    // Runs before any hook, so nothing is known about the caller: say as little as possible.
    frameworkErrors: (_error, _request, reply) => {
      reply.hijack();
      reply.raw.writeHead(400, { 'content-type': 'text/plain' }).end('The address cannot be read.');
    },
  });
  enforceLink(app, credentials);
  pageErrors(ctx, app);
  app.setNotFoundHandler((request, reply) => sendError(ctx, request, reply, 'not-found', { status: 404 }));
  const { webPath } = ctx.settings;
  const prefix = webPath.replace(/\/$/, '');
  await app.register(healthPlugin(ctx), { prefix });
  await app.register(apiPlugin(ctx), { prefix });
  await app.register(oidcPlugin(ctx), { prefix });
  await app.register(flowsPlugin(ctx), { prefix });
  if (prefix !== '') app.get('/', async (_request, reply) => redirect(reply, webPath));
  app.server.on('upgrade', outpostUpgrades(ctx, credentials));
  await app.ready();
  return app;
}

/** Probes for orchestrators (spec/server.md 16): alive; able to work. */
function healthPlugin(ctx: ServerContext) {
  return async (scope: FastifyInstance) => {
    scope.get('/-/health/live/', async (_request, reply) => reply.header('cache-control', 'no-store').send(''));
    scope.get('/-/health/ready/', async (_request, reply) => {
      reply.header('cache-control', 'no-store');
      try {
        await ctx.db.selectFrom('installation').select('key').limit(1).execute();
        return await reply.send('');
      } catch (error) {
        ctx.log.error({ err: error }, 'the database does not answer');
        return await reply.code(503).send('');
      }
    });
  };
}
