/** Binds applications to hosts and paths below a domain-level provider. */
import { randomUUID } from 'node:crypto';
import { InvalidInput } from '../../contract/errors.ts';
import { outpostPath } from '../../contract/paths.ts';
import type { Change } from '../context.ts';
import { modelRef } from '../events/audit.ts';
import { notFound } from '../not-found.ts';
import { isBelow } from '../../rules/cookie-domain.ts';
import { plainDomain } from '../proxy-provider/cookie-domain.ts';
import type { Db } from '../storage/database.ts';
import type { DomainApplicationRow, ProviderRow } from '../storage/rows.ts';
import { providerChanged, providerConfigurationChanged } from './changed.ts';
import { domainApplicationByUuid } from './domain-applications.ts';

export interface DomainApplicationInput {
  /** uuid of an application without provider of its own */
  application: string;
  /** id of a domain-level provider */
  provider: number;
  /** name of a host below the cookie domain */
  host: string;
  /** prefix by whole segments, decoded; default `/`, the whole host */
  path?: string;
}

/** So many slugs fit into a session cookie beside everything else. */
const MAX_PER_PROVIDER = 200;
/** As the URL parser writes it: lower case, other scripts as punycode. */
const HOST = /^[a-z0-9_](?:[a-z0-9_.-]{0,250}[a-z0-9_])?$/;
/** What every server reads in the same way (RFC 3986 3.3, without what must be decoded or can be a parameter). */
const PATH = /^(?:\/|(?:\/[\p{L}\p{N}_~!$'()*+,:@.-]+)+)$/u;

/** @throws InvalidInput with every problem by field */
export async function createDomainApplication(
  tx: Change,
  input: DomainApplicationInput,
): Promise<DomainApplicationRow> {
  const row = { uuid: randomUUID(), ...columns(input) };
  await check(tx, row);
  await tx.db.insertInto('domain_application').values(row).execute();
  await changed(tx, [row.provider_id]);
  await tx.audit('model_created', { context: { model: ref(row) } });
  return row;
}

/** @throws InvalidInput with every problem by field; CodedError `not-found` */
export async function updateDomainApplication(
  tx: Change,
  uuid: string,
  patch: Partial<DomainApplicationInput>,
): Promise<DomainApplicationRow> {
  const before = await domainApplicationByUuid(tx.db, uuid);
  if (before === undefined) throw notFound('binding of an application to a host');
  const { application_uuid: application, provider_id: provider, host, path } = before;
  const row = { uuid, ...columns({ application, provider, host, path, ...patch }) };
  await check(tx, row);
  await tx.db.updateTable('domain_application').set(row).where('uuid', '=', uuid).execute();
  await changed(tx, [before.provider_id, row.provider_id]);
  await tx.audit('model_updated', { context: { model: ref(row) } });
  return row;
}

export async function deleteDomainApplication(tx: Change, uuid: string): Promise<void> {
  const row = await domainApplicationByUuid(tx.db, uuid);
  if (row === undefined) throw notFound('binding of an application to a host');
  await tx.db.deleteFrom('domain_application').where('uuid', '=', uuid).execute();
  await changed(tx, [row.provider_id]);
  await tx.audit('model_deleted', { context: { model: ref(row) } });
}

/** @throws InvalidInput when the application is bound to a host: its rules would vanish, and the host be open to more people */
export async function refuseWhileBound(db: Db, application: string, field: string): Promise<void> {
  const row = await db
    .selectFrom('domain_application')
    .select(['host', 'path'])
    .where('application_uuid', '=', application)
    .executeTakeFirst();
  if (row === undefined) return;
  throw new InvalidInput({
    [field]: [`This application is bound to ${row.host}${row.path} below a domain-level provider. Remove that first.`],
  });
}

const columns = ({ application, provider, host, path }: DomainApplicationInput) => ({
  application_uuid: application,
  provider_id: provider,
  host: plainHost(host),
  path: (path ?? '/').replace(/([^/])\/$/, '$1'),
});

/** As browsers write it; a text that is more than a host stays, and is refused. */
function plainHost(host: string): string {
  const url = /[/?#@:\\\s]/.test(host) ? null : URL.parse(`https://${host}/`);
  return url === null ? host : url.hostname.replace(/\.$/, '');
}

async function changed(tx: Change, providers: readonly number[]): Promise<void> {
  for (const provider of new Set(providers)) {
    await providerConfigurationChanged(tx, provider);
    await providerChanged(tx, provider);
  }
}

const ref = ({ uuid, host, path }: DomainApplicationRow) => modelRef('domainapplication', uuid, host + path);

async function check(tx: Change, row: DomainApplicationRow): Promise<void> {
  const problems: Record<string, string[]> = {};
  const note = (field: string, text: string | undefined) => {
    if (text !== undefined) problems[field] = [text];
  };
  note('application', await applicationProblem(tx.db, row));
  const provider = await tx.db
    .selectFrom('proxy_provider')
    .selectAll()
    .where('id', '=', row.provider_id)
    .executeTakeFirst();
  if (provider?.mode !== 'forward_domain') note('provider', 'Give a provider in the mode forward auth (domain level).');
  else {
    note('provider', await countProblem(tx.db, row));
    note('host', await hostProblem(tx, row, provider));
  }
  note('path', pathProblem(row.path));
  if (Object.keys(problems).length === 0) note('non_field_errors', await placeProblem(tx.db, row));
  if (Object.keys(problems).length > 0) throw new InvalidInput(problems);
}

async function applicationProblem(db: Db, row: DomainApplicationRow): Promise<string | undefined> {
  const application = await db
    .selectFrom('application')
    .select('provider_id')
    .where('uuid', '=', row.application_uuid)
    .executeTakeFirst();
  if (application === undefined) return `There is no application ${row.application_uuid}.`;
  return application.provider_id === null ? undefined : 'This application has a provider of its own already.';
}

async function countProblem(db: Db, row: DomainApplicationRow): Promise<string | undefined> {
  const { count } = await db
    .selectFrom('domain_application')
    .select((e) => e.fn.countAll<number>().as('count'))
    .where('provider_id', '=', row.provider_id)
    .where('uuid', '!=', row.uuid)
    .executeTakeFirstOrThrow();
  return count < MAX_PER_PROVIDER ? undefined : `A provider takes at most ${MAX_PER_PROVIDER} of these.`;
}

async function hostProblem(tx: Change, row: DomainApplicationRow, provider: ProviderRow): Promise<string | undefined> {
  const { host, path } = row;
  if (!HOST.test(host) || host.includes('..')) return 'Give the name of a host, without scheme, port and path.';
  const domain = plainDomain(provider.cookie_domain);
  if (!isBelow(host, domain)) return `Give ${domain} or a host below it.`;
  const server = tx.baseAddress.allowed().some((address) => new URL(address).hostname === host);
  if (server && path === '/') return 'This is the address of the identity server itself. Give a path below it.';
  const others = await tx.db
    .selectFrom('proxy_provider')
    .select(['name', 'mode', 'external_host', 'cookie_domain'])
    .where('id', '!=', provider.id)
    .execute();
  for (const other of others) {
    const nearer = other.mode === 'forward_domain' && plainDomain(other.cookie_domain);
    const taken =
      nearer === false
        ? new URL(other.external_host).hostname === host
        : nearer.length > domain.length && isBelow(host, nearer);
    if (taken) return `This host belongs to the provider ${other.name}.`;
  }
  return undefined;
}

function pathProblem(path: string): string | undefined {
  if (!PATH.test(path) || path.split('/').some((segment) => segment === '.' || segment === '..')) {
    return 'Give a path such as /wiki: decoded, without // and dot segments, without ? and #.';
  }
  return outpostPath(path) === undefined ? undefined : 'This path belongs to the outpost itself.';
}

async function placeProblem(db: Db, row: DomainApplicationRow): Promise<string | undefined> {
  const other = await db
    .selectFrom('domain_application')
    .innerJoin('application', 'application.uuid', 'application_uuid')
    .select('name')
    .where('domain_application.provider_id', '=', row.provider_id)
    .where('host', '=', row.host)
    .where('path', '=', row.path)
    .where('domain_application.uuid', '!=', row.uuid)
    .executeTakeFirst();
  return other === undefined ? undefined : `${row.host}${row.path} belongs to the application ${other.name} already.`;
}
