/** Certificates with their keys (spec/server.md 7.6 and 10.1). Keys are sealed; who looks at one is written down. */
import { randomUUID } from 'node:crypto';
import { InvalidInput } from '../../contract/errors.ts';
import { providerConfigurationChanged } from '../access/changed.ts';
import type { Change } from '../context.ts';
import { modelRef } from '../events/audit.ts';
import { notFound } from '../not-found.ts';
import type { Db } from '../storage/database.ts';
import type { Keyring } from '../storage/keyring.ts';
import type { KeypairRow } from '../storage/rows.ts';
import { pairProblems, tlsProblem } from './pem.ts';

export interface KeypairInput {
  name: string;
  /** PEM, the server's own certificate first */
  certificate: string;
  /** PEM; empty = only the certificate */
  key: string;
}

export function keypairByUuid(db: Db, uuid: string): Promise<KeypairRow | undefined> {
  return db.selectFrom('certificate_keypair').selectAll().where('uuid', '=', uuid).executeTakeFirst();
}

/** @throws InvalidInput with every problem by field */
export async function createKeypair(tx: Change, input: KeypairInput): Promise<KeypairRow> {
  await check(tx, input, undefined);
  const uuid = randomUUID();
  const row = await tx.db
    .insertInto('certificate_keypair')
    .values({
      uuid,
      name: input.name,
      certificate: input.certificate,
      key: sealed(tx.keyring, uuid, input.key),
      managed: null,
      created: tx.now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await tx.audit('model_created', { context: { model: ref(row) } });
  return row;
}

/** Changes what the patch names. Outposts that serve the certificate fetch it anew. */
export async function updateKeypair(tx: Change, uuid: string, patch: Partial<KeypairInput>): Promise<KeypairRow> {
  const before = await keypairByUuid(tx.db, uuid);
  if (before === undefined) throw notFound('certificate');
  const next: KeypairInput = {
    name: patch.name ?? before.name,
    certificate: patch.certificate ?? before.certificate,
    key: patch.key ?? openKey(tx.keyring, before),
  };
  await check(tx, next, uuid);
  const row = await tx.db
    .updateTable('certificate_keypair')
    .set({ name: next.name, certificate: next.certificate, key: sealed(tx.keyring, uuid, next.key) })
    .where('uuid', '=', uuid)
    .returningAll()
    .executeTakeFirstOrThrow();
  await outpostsServing(tx, uuid);
  await tx.audit('model_updated', { context: { model: ref(row) } });
  return row;
}

/** Deletes the pair. Providers that served it are left without one, as published. */
export async function deleteKeypair(tx: Change, uuid: string): Promise<void> {
  const row = await keypairByUuid(tx.db, uuid);
  if (row === undefined) throw notFound('certificate');
  await outpostsServing(tx, uuid);
  await tx.db.updateTable('proxy_provider').set({ certificate: null }).where('certificate', '=', uuid).execute();
  await tx.db.deleteFrom('certificate_keypair').where('uuid', '=', uuid).execute();
  await tx.audit('model_deleted', { context: { model: ref(row) } });
}

/** One half of a pair, which is written to the audit log (spec/server.md 7.6). @returns PEM; a missing key is empty */
export async function viewKeypair(tx: Change, row: KeypairRow, what: 'certificate' | 'private_key'): Promise<string> {
  await tx.audit('secret_view', { context: { model: ref(row), type: what } });
  return what === 'certificate' ? row.certificate : openKey(tx.keyring, row);
}

/** Whether one of this outpost's providers serves the certificate. */
export async function servedByOutpost(db: Db, outpost: string, uuid: string): Promise<boolean> {
  const row = await db
    .selectFrom('outpost_provider')
    .innerJoin('proxy_provider', 'proxy_provider.id', 'outpost_provider.provider_id')
    .where('outpost_provider.outpost_uuid', '=', outpost)
    .where('proxy_provider.certificate', '=', uuid)
    .select('proxy_provider.id')
    .executeTakeFirst();
  return row !== undefined;
}

/** Why a provider cannot serve this certificate; undefined = it can. */
export async function servingProblem(tx: Change, uuid: string): Promise<string | undefined> {
  const row = await keypairByUuid(tx.db, uuid);
  if (row === undefined) return `There is no certificate ${uuid}.`;
  return tlsProblem(row.certificate, openKey(tx.keyring, row));
}

async function check(tx: Change, { name, certificate, key }: KeypairInput, uuid: string | undefined): Promise<void> {
  const problems = pairProblems(certificate, key);
  const other = await tx.db
    .selectFrom('certificate_keypair')
    .select('uuid')
    .where('name', '=', name)
    .executeTakeFirst();
  if (other !== undefined && other.uuid !== uuid) problems['name'] = ['There is a certificate with this name.'];
  if (uuid !== undefined && Object.keys(problems).length === 0) {
    const provider = await tx.db
      .selectFrom('proxy_provider')
      .select('name')
      .where('certificate', '=', uuid)
      .executeTakeFirst();
    const problem = provider && tlsProblem(certificate, key);
    if (problem) problems['key_data'] = [`${problem} The provider ${provider.name} serves it.`];
  }
  if (Object.keys(problems).length > 0) throw new InvalidInput(problems);
}

async function outpostsServing(tx: Change, uuid: string): Promise<void> {
  const rows = await tx.db.selectFrom('proxy_provider').where('certificate', '=', uuid).select('id').execute();
  for (const { id } of rows) await providerConfigurationChanged(tx, id);
}

const sealed = (keyring: Keyring, uuid: string, key: string) => (key === '' ? '' : keyring.seal(key, aad(uuid)));
const openKey = (keyring: Keyring, row: KeypairRow) => (row.key === '' ? '' : keyring.open(row.key, aad(row.uuid)));
const aad = (uuid: string) => `certificate_keypair.key:${uuid}`;
const ref = (row: KeypairRow) => modelRef('certificatekeypair', row.uuid, row.name);
