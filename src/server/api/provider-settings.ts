/** Settings of a provider beyond the published ones: `/providers/proxy/<pk>/gatehouse/`. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { ServerContext } from '../context.ts';
import { configureProvider, providerById, settingsOf } from '../proxy-provider/providers.ts';
import { actor } from './authenticate.ts';
import { notFound } from './errors.ts';
import { byPk, readPk } from './fields.ts';
import { ProviderSettings } from './objects/provider-settings.ts';
import { operation } from './operation.ts';
import { defined, writable } from './validation.ts';

const body = writable(ProviderSettings.shape, []).partial;

export const providerSettingsRoutes =
  (ctx: ServerContext): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/providers/proxy/:pk/gatehouse/',
      {
        schema: {
          params: byPk,
          ...operation('providers_proxy_gatehouse_retrieve', 'Settings beyond the published ones', {
            200: ProviderSettings,
          }),
        },
      },
      async (request) => {
        const row = await providerById(ctx.db, readPk(request.params.pk));
        if (!row) throw notFound();
        return settingsOf(row);
      },
    );

    app.patch(
      '/providers/proxy/:pk/gatehouse/',
      {
        schema: {
          params: byPk,
          body,
          ...operation('providers_proxy_gatehouse_partial_update', 'Change settings beyond the published ones', {
            200: ProviderSettings,
          }),
        },
      },
      async (request) => {
        const [pk, sent] = [readPk(request.params.pk), defined(request.body)];
        return settingsOf(await ctx.change((tx) => configureProvider(tx, pk, sent), actor(request)));
      },
    );
  };
