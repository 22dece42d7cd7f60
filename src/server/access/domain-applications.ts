/**
 * Applications on hosts and paths below a domain-level provider: one login, and rules for each (docs/architecture.md,
 * decision 25). Reading; writing is in domain-bindings.ts.
 */
import type { DomainApplication } from '../../contract/domain-applications.ts';
import type { Db } from '../storage/database.ts';
import type { ApplicationRow, DomainApplicationRow, ProviderRow, UserRow } from '../storage/rows.ts';
import { checkAccessToAll } from './check-access.ts';
import type { AccessResult } from './check-access.ts';

export function domainApplicationByUuid(db: Db, uuid: string): Promise<DomainApplicationRow | undefined> {
  return db.selectFrom('domain_application').selectAll().where('uuid', '=', uuid).executeTakeFirst();
}

/** Domain-level providers these applications are bound to. */
export async function providersOf(db: Db, applications: readonly string[]): Promise<number[]> {
  if (applications.length === 0) return [];
  const rows = await db
    .selectFrom('domain_application')
    .select('provider_id')
    .distinct()
    .where('application_uuid', 'in', applications)
    .execute();
  return rows.map((row) => row.provider_id);
}

/** What outposts are told, by provider. */
export async function domainApplicationsOf(
  db: Db,
  providers: readonly number[],
): Promise<ReadonlyMap<number, DomainApplication[]>> {
  if (providers.length === 0) return new Map();
  const rows = await db
    .selectFrom('domain_application')
    .innerJoin('application', 'application.uuid', 'domain_application.application_uuid')
    .select(['domain_application.provider_id', 'slug', 'name', 'host', 'path'])
    .where('domain_application.provider_id', 'in', providers)
    .orderBy('host')
    .orderBy('path')
    .execute();
  const told = new Map<number, DomainApplication[]>();
  for (const { provider_id, ...application } of rows) {
    told.set(provider_id, [...(told.get(provider_id) ?? []), application]);
  }
  return told;
}

export interface SignInAccess extends AccessResult {
  /** what a login at this provider opens: its own application first, then those bound to hosts of the domain */
  open: ApplicationRow[];
}

/**
 * May this person sign in at this provider? At domain level when any application below it lets them in; which one they
 * may open is decided at the outpost.
 * @returns the provider's own result when none does
 */
export async function checkSignIn(
  db: Db,
  user: UserRow,
  provider: Pick<ProviderRow, 'id' | 'mode'>,
  application: ApplicationRow,
): Promise<SignInAccess> {
  const bound =
    provider.mode === 'forward_domain'
      ? await db
          .selectFrom('application')
          .selectAll()
          .where('uuid', 'in', (e) =>
            e.selectFrom('domain_application').select('application_uuid').where('provider_id', '=', provider.id),
          )
          .orderBy('slug')
          .execute()
      : [];
  const all = [application, ...bound];
  const results = await checkAccessToAll(db, user, all);
  const [own] = results;
  if (own === undefined) throw new TypeError('one result for each application');
  const deciding = own.passing ? own : (results.find((result) => result.passing) ?? own);
  return { ...deciding, open: all.filter((_, i) => results[i]?.passing === true) };
}

/** Of more applications all addresses are read: a statement takes so many values only. */
const FEW = 1000;

/**
 * Addresses of applications: the external host of their provider, or the first place below a domain-level one, on the
 * scheme and port of its external host.
 */
export async function addressesOf(
  db: Db,
  applications: readonly ApplicationRow[],
): Promise<ReadonlyMap<string, string>> {
  const few = applications.length <= FEW;
  const places = await db
    .selectFrom('domain_application')
    .selectAll()
    .$if(few, (all) =>
      all.where(
        'application_uuid',
        'in',
        applications.map((application) => application.uuid),
      ),
    )
    .orderBy('host')
    .orderBy('path')
    .execute();
  const named = [...applications, ...places].flatMap(({ provider_id }) => provider_id ?? []);
  const providers = await db
    .selectFrom('proxy_provider')
    .select(['id', 'external_host'])
    .$if(few, (all) => all.where('id', 'in', [...new Set(named)]))
    .execute();
  const hostOf = new Map(providers.map((provider) => [provider.id, provider.external_host]));
  const placesOf = Map.groupBy(places, (place) => place.application_uuid);
  const found = new Map<string, string>();
  for (const { uuid, provider_id } of applications) {
    const [place] = placesOf.get(uuid) ?? [];
    const own = provider_id === null ? undefined : hostOf.get(provider_id);
    const address = own ?? (place && addressAt(hostOf.get(place.provider_id), place));
    if (address !== undefined) found.set(uuid, address);
  }
  return found;
}

function addressAt(externalHost: string | undefined, { host, path }: DomainApplicationRow): string | undefined {
  const url = URL.parse(externalHost ?? '');
  if (url === null) return undefined;
  const { protocol, port } = url;
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  return `${protocol}//${host}${port === '' ? '' : `:${port}`}${encoded}`;
}
