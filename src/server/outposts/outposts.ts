/** Outposts and their service accounts (spec/server.md 6). */
import { randomUUID } from 'node:crypto';
import { EMBEDDED_OUTPOST_MANAGED } from '../../contract/api.ts';
import { InvalidInput } from '../../contract/errors.ts';
import type { Change } from '../context.ts';
import { withoutControls } from '../directory/names.ts';
import { createToken, OUTPOST_TOKENS } from '../directory/tokens.ts';
import { createUser, deleteUser } from '../directory/users.ts';
import { modelRef } from '../events/audit.ts';
import { notFound } from '../not-found.ts';
import type { Db } from '../storage/database.ts';
import type { OutpostRow } from '../storage/rows.ts';
import { noteEverything, noteProvider } from './changes.ts';
import { configProblems, refreshIntervalSeconds } from './config.ts';
import type { OutpostConfigInput } from './config.ts';

export interface OutpostInput {
  name: string;
  type: string;
  /** ids */
  providers: readonly number[];
  config: OutpostConfigInput;
  service_connection?: string | null;
}

export function outpostByUuid(db: Db, uuid: string): Promise<OutpostRow | undefined> {
  return db.selectFrom('outpost').selectAll().where('uuid', '=', uuid).executeTakeFirst();
}

/** The outpost this service account belongs to. */
export function outpostOfUser(db: Db, userId: number): Promise<OutpostRow | undefined> {
  return db.selectFrom('outpost').selectAll().where('user_id', '=', userId).executeTakeFirst();
}

export const tokenIdentifier = (uuid: string) => `ak-outpost-${uuid}-api`;

/**
 * Makes the outpost, its service account and its token.
 * @param managed marker of the embedded one; not for the API
 * @throws InvalidInput by field
 */
export async function createOutpost(
  tx: Change,
  input: OutpostInput,
  managed: string | null = null,
): Promise<OutpostRow> {
  await check(tx, input, undefined, managed);
  const uuid = randomUUID();
  const user = await createUser(tx, {
    username: `ak-outpost-${uuid.replaceAll('-', '')}`,
    name: serviceAccountName(input.name),
    type: 'internal_service_account',
    path: 'goauthentik.io/outposts',
  });
  await createToken(tx, {
    identifier: tokenIdentifier(uuid),
    intent: 'api',
    user: user.id,
    description: `Token of the outpost ${input.name}`,
    expiring: false,
    managed: OUTPOST_TOKENS + tokenIdentifier(uuid),
  });
  const outpost = await tx.db
    .insertInto('outpost')
    .values({
      uuid,
      name: input.name,
      type: input.type,
      config: JSON.stringify(input.config),
      refresh_interval_s: refreshIntervalSeconds(input.config),
      managed,
      service_connection: emptyToNull(input.service_connection),
      user_id: user.id,
      created: tx.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await setProviders(tx.db, uuid, input.providers);
  await noteEverything(tx, [uuid]);
  await tx.audit('model_created', { context: { model: ref(outpost) } });
  return outpost;
}

/** Changes what the patch names and tells the outpost. The embedded one's `authentik_host` takes effect at once. */
export async function updateOutpost(tx: Change, uuid: string, patch: Partial<OutpostInput>): Promise<OutpostRow> {
  const before = await outpostByUuid(tx.db, uuid);
  if (before === undefined) throw notFound('outpost');
  await check(tx, patch, before, before.managed);
  const outpost = await tx.db
    .updateTable('outpost')
    .set({
      name: patch.name ?? before.name,
      type: patch.type ?? before.type,
      config: patch.config === undefined ? before.config : JSON.stringify(patch.config),
      refresh_interval_s: patch.config === undefined ? before.refresh_interval_s : refreshIntervalSeconds(patch.config),
      service_connection:
        patch.service_connection === undefined ? before.service_connection : emptyToNull(patch.service_connection),
    })
    .where('uuid', '=', uuid)
    .returningAll()
    .executeTakeFirstOrThrow();
  if (patch.providers !== undefined) {
    for (const id of await setProviders(tx.db, uuid, patch.providers)) await noteProvider(tx, id, [uuid]);
  }
  if (patch.name !== undefined) {
    await tx.db
      .updateTable('user')
      .set({ name: serviceAccountName(patch.name) })
      .where('id', '=', before.user_id)
      .execute();
  }
  if (patch.config !== undefined && before.managed === EMBEDDED_OUTPOST_MANAGED) {
    await tx.baseAddress.configure(tx, textOf(patch.config['authentik_host']));
  }
  tx.outpostsChanged([uuid]);
  await tx.audit('model_updated', { context: { model: ref(outpost) } });
  return outpost;
}

/** Deletes the outpost with its account and token, and closes its connections. */
export async function deleteOutpost(tx: Change, uuid: string): Promise<void> {
  const outpost = await outpostByUuid(tx.db, uuid);
  if (outpost === undefined) throw notFound('outpost');
  if (outpost.managed === EMBEDDED_OUTPOST_MANAGED) {
    throw new InvalidInput({
      non_field_errors: [
        'The embedded outpost is part of this server. To do without it, start with AUTHENTIK_OUTPOSTS__DISABLE_EMBEDDED_OUTPOST=true.',
      ],
    });
  }
  await removeOutpost(tx, outpost);
}

/** Deletes any outpost, also the embedded one. */
export async function removeOutpost(tx: Change, outpost: OutpostRow): Promise<void> {
  await tx.db.deleteFrom('outpost').where('uuid', '=', outpost.uuid).execute();
  await deleteUser(tx, outpost.user_id);
  tx.outpostGone(outpost.uuid);
  await tx.audit('model_deleted', { context: { model: ref(outpost) } });
}

const ref = (outpost: OutpostRow) => modelRef('outpost', outpost.uuid, outpost.name);
const serviceAccountName = (name: string) => withoutControls(`Outpost ${name} Service-Account`);
/** Terraform sends an empty text where it means none. */
const emptyToNull = (value: string | null | undefined) => (value === undefined || value === '' ? null : value);
const textOf = (value: unknown) => (typeof value === 'string' ? value : '');

/** @returns those that were added and those that were taken away */
async function setProviders(db: Db, uuid: string, providers: readonly number[]): Promise<number[]> {
  const links = db.selectFrom('outpost_provider').select('provider_id').where('outpost_uuid', '=', uuid);
  const before = new Set((await links.execute()).map((row) => row.provider_id));
  const next = new Set(providers);
  const added = [...next].filter((id) => !before.has(id));
  const gone = [...before].filter((id) => !next.has(id));
  for (const provider_id of added) {
    await db.insertInto('outpost_provider').values({ outpost_uuid: uuid, provider_id }).execute();
  }
  for (const provider_id of gone) {
    await db
      .deleteFrom('outpost_provider')
      .where('outpost_uuid', '=', uuid)
      .where('provider_id', '=', provider_id)
      .execute();
  }
  return [...added, ...gone];
}

async function check(
  tx: Change,
  input: Partial<OutpostInput>,
  before: OutpostRow | undefined,
  managed: string | null,
): Promise<void> {
  const problems: Record<string, string[]> = {};
  const { name, type, providers, config } = input;
  const embedded = managed === EMBEDDED_OUTPOST_MANAGED;
  if (name !== undefined) {
    const other = await tx.db.selectFrom('outpost').select('uuid').where('name', '=', name).executeTakeFirst();
    if (name.trim() === '') problems['name'] = ['Give a name.'];
    else if (other !== undefined && other.uuid !== before?.uuid)
      problems['name'] = ['There is an outpost with this name.'];
    else if (embedded && before !== undefined && name !== before.name) {
      problems['name'] = ['The embedded outpost cannot be renamed.'];
    }
  }
  if (type !== undefined && type !== 'proxy') problems['type'] = ['Gatehouse has outposts of type proxy only.'];
  if (providers !== undefined) {
    if (providers.length === 0 && !embedded) problems['providers'] = ['Give at least one provider.'];
    const found = await tx.db
      .selectFrom('proxy_provider')
      .select('id')
      .where('id', 'in', [...providers, 0])
      .execute();
    const known = new Set(found.map((row) => row.id));
    const missing = providers.filter((id) => !known.has(id));
    if (missing.length > 0) problems['providers'] = missing.map((id) => `There is no provider ${id}.`);
  }
  if (input.service_connection)
    problems['service_connection'] = ['Gatehouse does not deploy outposts; leave this empty.'];
  const wrong = [...configProblems(config ?? {}), ...(embedded ? await hostProblems(tx, config) : [])];
  if (wrong.length > 0) problems['config'] = wrong;
  if (Object.keys(problems).length > 0) throw new InvalidInput(problems);
}

/** A proxy-mode application takes every request on its host: the server could not be reached there. */
async function hostProblems(tx: Change, config: OutpostConfigInput | undefined): Promise<string[]> {
  const host = textOf(config?.['authentik_host']);
  if (!URL.canParse(host)) return [];
  if (!tx.baseAddress.isAbove(host)) {
    return [`authentik_host: this server lives below ${tx.baseAddress.path} (WEB__PATH), so the address ends there.`];
  }
  const rows = await tx.db
    .selectFrom('proxy_provider')
    .select(['name', 'external_host'])
    .where('mode', '=', 'proxy')
    .execute();
  return rows
    .filter((row) => new URL(row.external_host).host === new URL(host).host)
    .map((row) => `authentik_host: this host belongs to the proxied application of ${row.name}.`);
}
