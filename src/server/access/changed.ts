import type { Change } from '../context.ts';
import { noteProvider } from '../outposts/changes.ts';
import { providersOf } from './domain-applications.ts';

/** Rules of these applications or entitlements changed: sessions at their providers are stale. */
export async function bindingsChanged(tx: Change, targets: readonly string[]): Promise<void> {
  if (targets.length === 0) return;
  const direct = tx.db.selectFrom('application').select('provider_id').where('uuid', 'in', targets);
  const entitled = tx.db
    .selectFrom('application')
    .innerJoin('application_entitlement', 'application_entitlement.application_uuid', 'application.uuid')
    .select('application.provider_id')
    .where('application_entitlement.uuid', 'in', targets);
  const rows = await direct.union(entitled).execute();
  // applications bound to hosts of a domain decide over logins of the domain's provider
  const providers = new Set([...rows.map((row) => row.provider_id), ...(await providersOf(tx.db, targets))]);
  for (const provider of providers) await providerChanged(tx, provider);
}

/** Sessions at this provider are stale; nothing happens for an application without one. */
export async function providerChanged(tx: Change, provider: number | null): Promise<void> {
  if (provider !== null) await tx.identity({ kind: 'provider-changed', provider });
}

/** Outposts that serve this provider must fetch their configuration again. */
export async function providerConfigurationChanged(tx: Change, provider: number | null): Promise<void> {
  if (provider === null) return;
  const rows = await tx.db
    .selectFrom('outpost_provider')
    .select('outpost_uuid')
    .where('provider_id', '=', provider)
    .execute();
  await noteProvider(
    tx,
    provider,
    rows.map((row) => row.outpost_uuid),
  );
}
