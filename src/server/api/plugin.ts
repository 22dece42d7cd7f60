/** The REST API. Routes are below the web path; whoever registers this gives that prefix. */
import fastifySwagger from '@fastify/swagger';
import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import type { FastifyPluginAsyncZod, ZodTypeProvider } from 'fastify-type-provider-zod';
import { jsonSchemaTransform, serializerCompiler } from 'fastify-type-provider-zod';
import { PUBLISHED_VERSION } from '../../contract/version.ts';
import type { ServerContext } from '../context.ts';
import { acceptCookies } from '../flows/cookies.ts';
import { applicationRoutes } from './applications.ts';
import { guard } from './authenticate.ts';
import { bindingRoutes } from './bindings.ts';
import { certificateRoutes } from './certificates.ts';
import { domainApplicationRoutes } from './domain-applications.ts';
import { answerError, answerNotFound } from './errors.ts';
import { eventRoutes } from './events.ts';
import { explainRoutes } from './explain.ts';
import { flowRoutes } from './flows.ts';
import { gatehouseRoutes } from './gatehouse.ts';
import { groupRoutes } from './groups.ts';
import { outpostConfigRoutes } from './outpost-config.ts';
import { outpostRoutes } from './outposts.ts';
import { propertyMappingRoutes } from './property-mappings.ts';
import { providerSettingsRoutes } from './provider-settings.ts';
import { proxyProviderRoutes } from './proxy-providers.ts';
import { rootConfigRoutes } from './root-config.ts';
import { scopeMappingRoutes } from './scope-mappings.ts';
import { serviceConnectionRoutes } from './service-connections.ts';
import { sessionRoutes } from './sessions.ts';
import { tokenRoutes } from './tokens.ts';
import { userActionRoutes } from './user-actions.ts';
import { userRoutes } from './users.ts';
import { validatorCompiler } from './validation.ts';
import { refuseWrongMethods } from './wrong-method.ts';

const BASE = '/api/v3';

export function apiPlugin(ctx: ServerContext): FastifyPluginAsync {
  const resources: readonly FastifyPluginAsyncZod[] = [
    userRoutes(ctx),
    userActionRoutes(ctx),
    groupRoutes(ctx),
    applicationRoutes(ctx),
    tokenRoutes(ctx),
    sessionRoutes(ctx),
    proxyProviderRoutes(ctx),
    providerSettingsRoutes(ctx),
    explainRoutes(ctx),
    outpostRoutes(ctx),
    outpostConfigRoutes(ctx),
    serviceConnectionRoutes,
    bindingRoutes(ctx),
    domainApplicationRoutes(ctx),
    flowRoutes(ctx),
    scopeMappingRoutes(ctx),
    propertyMappingRoutes(ctx),
    certificateRoutes(ctx),
    eventRoutes(ctx),
    gatehouseRoutes(ctx),
    rootConfigRoutes,
  ];

  const api: FastifyPluginAsync = async (app) => {
    acceptJsonOnly(app);
    app.setValidatorCompiler(validatorCompiler);
    app.setSerializerCompiler(serializerCompiler);
    app.setErrorHandler(answerError);
    app.setNotFoundHandler(answerNotFound);
    app.decorateRequest('principal', undefined);
    await acceptCookies(app);
    app.addHook('onRequest', async (_request, reply) => {
      // every answer is for this caller alone, some hold secrets; and JSON is never a page
      void reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    });
    app.addHook('onRequest', guard(ctx));
    await app.register(fastifySwagger, {
      openapi: {
        openapi: '3.1.0',
        info: { title: 'Gatehouse', version: PUBLISHED_VERSION, description: 'Identity server and proxy outposts.' },
        components: {
          securitySchemes: {
            token: { type: 'http', scheme: 'bearer', description: 'Key of an API token.' },
            session: { type: 'apiKey', in: 'cookie', name: 'authentik_session' },
          },
        },
        security: [{ token: [] }, { session: [] }],
      },
      transform: jsonSchemaTransform,
    });
    const registerRefusals = refuseWrongMethods(app);
    for (const routes of resources) await app.register(routes);
    app
      .withTypeProvider<ZodTypeProvider>()
      .get('/schema/', { config: { access: 'anyone' }, schema: { hide: true } }, async () => app.swagger());
    registerRefusals();
  };

  return async (scope) => {
    await scope.register(api, { prefix: BASE });
  };
}

/**
 * The API speaks JSON only (spec/server.md 10). Forms and plain text, which any page may post across origins without
 * asking, are refused; an empty body is no body.
 */
function acceptJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, text, done) => {
    if (text === '') done(null, undefined);
    else void parse(request, String(text), done);
  });
}
