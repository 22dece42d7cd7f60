/** Applications: what people open, and what rules are bound to (spec/server.md 2.4). */
import { randomUUID } from 'node:crypto';
import { InvalidInput } from '../../contract/errors.ts';
import type { Change } from '../context.ts';
import { endTokensOf } from '../directory/credentials.ts';
import { modelRef } from '../events/audit.ts';
import { notFound } from '../not-found.ts';
import type { Db } from '../storage/database.ts';
import type { ApplicationRow, UserRow } from '../storage/rows.ts';
import { providerChanged, providerConfigurationChanged } from './changed.ts';
import { refuseWhileBound } from './domain-bindings.ts';
import { providersOf } from './domain-applications.ts';

export interface ApplicationInput {
  name: string;
  slug: string;
  /** id of the provider; one application per provider */
  provider?: number | null;
  group?: string;
  policy_engine_mode?: 'any' | 'all';
  meta_launch_url?: string;
  open_in_new_tab?: boolean;
  meta_icon?: string;
  meta_description?: string;
  meta_publisher?: string;
}

/** Words with a fixed meaning below `/application/o/` (spec/server.md 1). */
const RESERVED_SLUGS = ['authorize', 'token', 'device', 'userinfo', 'introspect', 'revoke'];

export function applicationBySlug(db: Db, slug: string): Promise<ApplicationRow | undefined> {
  return db.selectFrom('application').selectAll().where('slug', '=', slug).executeTakeFirst();
}

export function applicationOfProvider(db: Db, providerId: number): Promise<ApplicationRow | undefined> {
  return db.selectFrom('application').selectAll().where('provider_id', '=', providerId).executeTakeFirst();
}

/** @throws InvalidInput by field: a taken or reserved slug, a provider that has an application, a launch URL that is none */
export async function createApplication(tx: Change, input: ApplicationInput): Promise<ApplicationRow> {
  await check(tx.db, input, undefined);
  const application = await tx.db
    .insertInto('application')
    .values({
      uuid: randomUUID(),
      name: input.name,
      slug: input.slug,
      group_name: input.group ?? '',
      provider_id: input.provider ?? null,
      policy_engine_mode: input.policy_engine_mode ?? 'any',
      meta_launch_url: input.meta_launch_url ?? '',
      open_in_new_tab: Number(input.open_in_new_tab ?? false),
      meta_icon: input.meta_icon ?? '',
      meta_description: input.meta_description ?? '',
      meta_publisher: input.meta_publisher ?? '',
      created: tx.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await affected(tx, [application.provider_id]);
  await tx.audit('model_created', { context: { model: ref(application) } });
  return application;
}

export async function updateApplication(
  tx: Change,
  slug: string,
  patch: Partial<ApplicationInput>,
): Promise<ApplicationRow> {
  const before = await applicationBySlug(tx.db, slug);
  if (before === undefined) throw notFound('application');
  await check(tx.db, patch, before);
  if (typeof patch.provider === 'number') await refuseWhileBound(tx.db, before.uuid, 'provider');
  if (patch.provider !== undefined && patch.provider !== before.provider_id) await endTokensAt(tx, before.provider_id);
  const application = await tx.db
    .updateTable('application')
    .set({
      name: patch.name ?? before.name,
      slug: patch.slug ?? before.slug,
      group_name: patch.group ?? before.group_name,
      provider_id: patch.provider === undefined ? before.provider_id : patch.provider,
      policy_engine_mode: patch.policy_engine_mode ?? before.policy_engine_mode,
      meta_launch_url: patch.meta_launch_url ?? before.meta_launch_url,
      open_in_new_tab: Number(patch.open_in_new_tab ?? before.open_in_new_tab),
      meta_icon: patch.meta_icon ?? before.meta_icon,
      meta_description: patch.meta_description ?? before.meta_description,
      meta_publisher: patch.meta_publisher ?? before.meta_publisher,
    })
    .where('uuid', '=', before.uuid)
    .returningAll()
    .executeTakeFirstOrThrow();
  await affected(tx, [before.provider_id, application.provider_id, ...(await providersOf(tx.db, [before.uuid]))]);
  await tx.audit('model_updated', { context: { model: ref(application) } });
  return application;
}

export async function deleteApplication(tx: Change, slug: string): Promise<void> {
  const application = await applicationBySlug(tx.db, slug);
  if (application === undefined) throw notFound('application');
  await refuseWhileBound(tx.db, application.uuid, 'non_field_errors');
  // Bindings hold their target as plain text: it is an application or an entitlement of it.
  await tx.db
    .deleteFrom('policy_binding')
    .where((e) =>
      e.or([
        e('target', '=', application.uuid),
        e(
          'target',
          'in',
          e
            .selectFrom('application_entitlement')
            .select('application_entitlement.uuid')
            .where('application_uuid', '=', application.uuid),
        ),
      ]),
    )
    .execute();
  await tx.db.deleteFrom('application').where('uuid', '=', application.uuid).execute();
  await endTokensAt(tx, application.provider_id);
  await affected(tx, [application.provider_id]);
  await tx.audit('model_deleted', { context: { model: ref(application) } });
}

/**
 * Where the application is opened: its own launch URL with `%(field)s` filled in, else its address.
 * @param address as {@link file://./domain-applications.ts} finds it
 * @returns empty when there is nowhere to go; the text as it stands when a field is unknown, as published
 */
export function launchUrl(application: ApplicationRow, address: string | undefined, user: UserRow | undefined): string {
  const template = application.meta_launch_url;
  if (template === '') return address ?? '';
  if (user === undefined) return template;
  const fields: Record<string, string> = {
    username: user.username,
    name: user.name,
    email: user.email,
    uid: user.uid,
    uuid: user.uuid,
    pk: String(user.id),
  };
  const unknown = [...template.matchAll(/%\((\w+)\)s/g)].some(([, name = '']) => !Object.hasOwn(fields, name));
  if (unknown) return template;
  return template.replaceAll(/%\((\w+)\)s/g, (_, name: string) => encodeURIComponent(fields[name] ?? ''));
}

const ref = (application: ApplicationRow) => modelRef('application', application.uuid, application.name);

/** Without its application a provider takes its own tokens no more; what others made from them must not go on. */
async function endTokensAt(tx: Change, provider: number | null): Promise<void> {
  const client = await tx.db
    .selectFrom('proxy_provider')
    .select('client_id')
    .where('id', '=', provider)
    .executeTakeFirst();
  if (client !== undefined) await endTokensOf(tx, client.client_id);
}

async function affected(tx: Change, providers: readonly (number | null)[]): Promise<void> {
  for (const provider of new Set(providers)) {
    await providerConfigurationChanged(tx, provider);
    await providerChanged(tx, provider);
  }
}

async function check(db: Db, input: Partial<ApplicationInput>, before: ApplicationRow | undefined): Promise<void> {
  const problems: Record<string, string[]> = {};
  const { name, slug, provider, meta_launch_url: launch } = input;
  if (name?.trim() === '') problems['name'] = ['Give a name.'];
  if (slug !== undefined) {
    const other = await applicationBySlug(db, slug);
    if (!/^[-a-zA-Z0-9_]{1,255}$/.test(slug)) {
      problems['slug'] = ['Use letters, digits, hyphens and underscores.'];
    } else if (RESERVED_SLUGS.includes(slug.toLowerCase())) {
      problems['slug'] = [`${slug} has a fixed meaning in addresses. Choose another slug.`];
    } else if (other !== undefined && other.uuid !== before?.uuid) {
      problems['slug'] = ['There is an application with this slug.'];
    }
  }
  if (provider !== undefined && provider !== null) {
    const known = await db.selectFrom('proxy_provider').select('id').where('id', '=', provider).executeTakeFirst();
    const other = await applicationOfProvider(db, provider);
    if (known === undefined) problems['provider'] = [`There is no provider ${provider}.`];
    else if (other !== undefined && other.uuid !== before?.uuid) {
      problems['provider'] = [`This provider belongs to the application ${other.name}.`];
    }
  }
  if (launch !== undefined && launch !== '' && !/^https?:\/\/\S+$/i.test(launch)) {
    problems['meta_launch_url'] = ['Give an address that begins with http:// or https://.']; // never javascript:
  }
  if (Object.keys(problems).length > 0) throw new InvalidInput(problems);
}
