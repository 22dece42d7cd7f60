/** Scope mappings that administrators write (spec/server.md 4.1). The built-in ones lie beside them and stay as they are. */
import { randomUUID } from 'node:crypto';
import { CodedError, InvalidInput } from '../../contract/errors.ts';
import { providerChanged, providerConfigurationChanged } from '../access/changed.ts';
import type { Change } from '../context.ts';
import { modelRef } from '../events/audit.ts';
import { notFound } from '../not-found.ts';
import type { Db } from '../storage/database.ts';
import type { ScopeMappingRow } from '../storage/rows.ts';
import type { Expressions } from '../expressions/types.ts';
import { keepWrittenNames } from './mapping-headers.ts';

export interface MappingInput {
  name: string;
  scope_name: string;
  /** empty = not listed where consent is asked for */
  description?: string;
  /** Python, the body of a function */
  expression: string;
}

/** Far more than anybody writes; each evaluation reads it again. */
const MAX_EXPRESSION = 32_768;
/** A scope travels in addresses, together with all others. */
const MAX_SCOPE_NAME = 100;
/** Tokens with it open the REST interface (api/authenticate.ts), and outposts ask for every scope there is. */
const API_SCOPE = 'goauthentik.io/api';
/** scope-token of RFC 6749 3.3 */
const SCOPE_NAME = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** Whether any provider uses a mapping that somebody wrote. */
export async function runsExpressions(db: Db): Promise<boolean> {
  const one = await db
    .selectFrom('provider_scope_mapping')
    .innerJoin('scope_mapping', 'scope_mapping.uuid', 'provider_scope_mapping.mapping_uuid')
    .select('scope_mapping.uuid')
    .where('scope_mapping.managed', 'is', null)
    .limit(1)
    .executeTakeFirst();
  return one !== undefined;
}

export function mappingByUuid(db: Db, uuid: string): Promise<ScopeMappingRow | undefined> {
  return db.selectFrom('scope_mapping').selectAll().where('uuid', '=', uuid.toLowerCase()).executeTakeFirst();
}

/**
 * Asks Python whether this can be saved. It may have to be started for that: so before a change, never within one.
 * @throws InvalidInput naming line and column
 */
export async function checkExpression(expressions: Expressions, expression: string | undefined): Promise<void> {
  if (expression === undefined) return;
  const bytes = Buffer.byteLength(expression);
  if (bytes > MAX_EXPRESSION) {
    const sentence = `An expression may have ${MAX_EXPRESSION} bytes; this one has ${bytes}.`;
    throw new InvalidInput({ expression: [sentence] });
  }
  const problem = await expressions.check(expression);
  if (problem === undefined) return;
  const { line, column, message } = problem;
  throw new InvalidInput({ expression: [`Line ${line}, column ${column}: ${message}`] });
}

/**
 * @param input its expression was looked at with {@link checkExpression}
 * @throws InvalidInput by field
 */
export async function createMapping(tx: Change, input: MappingInput): Promise<ScopeMappingRow> {
  await check(tx.db, input, undefined);
  const mapping = await tx.db
    .insertInto('scope_mapping')
    .values({ uuid: randomUUID(), managed: null, description: '', ...input })
    .returningAll()
    .executeTakeFirstOrThrow();
  await keepWrittenNames(tx, mapping.uuid, mapping.expression);
  await tx.audit('model_created', { context: { model: ref(mapping) } });
  return mapping;
}

/** PUT and PATCH. @throws InvalidInput by field; CodedError `mapping-built-in` */
export async function updateMapping(tx: Change, uuid: string, patch: Partial<MappingInput>): Promise<ScopeMappingRow> {
  const before = await mappingForChange(tx.db, uuid);
  await check(tx.db, patch, before);
  if (Object.keys(patch).length === 0) return before;
  const mapping = await tx.db
    .updateTable('scope_mapping')
    .set(patch)
    .where('uuid', '=', before.uuid)
    .returningAll()
    .executeTakeFirstOrThrow();
  await keepWrittenNames(tx, mapping.uuid, mapping.expression);
  // the name decides too: it is the order among mappings of one scope
  const same = (['name', 'scope_name', 'expression'] as const).every((field) => before[field] === mapping[field]);
  if (!same) await usersChanged(tx, await providersWith(tx.db, mapping.uuid));
  await tx.audit('model_updated', { context: { model: ref(mapping) } });
  return mapping;
}

/** Providers it is attached to lose it. @throws CodedError `mapping-built-in` */
export async function deleteMapping(tx: Change, uuid: string): Promise<void> {
  const mapping = await mappingForChange(tx.db, uuid);
  const providers = await providersWith(tx.db, mapping.uuid);
  await tx.db.deleteFrom('scope_mapping').where('uuid', '=', mapping.uuid).execute();
  await usersChanged(tx, providers);
  await tx.audit('model_deleted', { context: { model: ref(mapping) } });
}

/** @throws CodedError 404; `mapping-built-in` */
export async function mappingForChange(db: Db, uuid: string): Promise<ScopeMappingRow> {
  const mapping = await mappingByUuid(db, uuid);
  if (mapping === undefined) throw notFound('scope mapping');
  if (mapping.managed === null) return mapping;
  throw new CodedError(
    'mapping-built-in',
    403,
    `${mapping.name} is built in and stays as it is. Write a mapping of your own with the scope ${mapping.scope_name}: what both give is merged.`,
  );
}

async function check(db: Db, input: Partial<MappingInput>, before: ScopeMappingRow | undefined): Promise<void> {
  const problems: Record<string, string[]> = {};
  if (input.name !== undefined) {
    const other = await db.selectFrom('scope_mapping').select('uuid').where('name', '=', input.name).executeTakeFirst();
    if (other !== undefined && other.uuid !== before?.uuid) problems['name'] = ['There is a mapping with this name.'];
  }
  const { scope_name } = input;
  if (scope_name !== undefined && (!SCOPE_NAME.test(scope_name) || scope_name.length > MAX_SCOPE_NAME)) {
    problems['scope_name'] = [
      `Give one word of at most ${MAX_SCOPE_NAME} letters, digits and signs (no quotation mark, no backslash).`,
    ];
  }
  if (scope_name === API_SCOPE) {
    problems['scope_name'] = [
      'Tokens with this scope open the REST interface. Only the built-in mapping stands for it.',
    ];
  }
  if (Object.keys(problems).length > 0) throw new InvalidInput(problems);
}

/** Sessions are stale, and outposts ask for other scopes. */
async function usersChanged(tx: Change, providers: readonly number[]): Promise<void> {
  for (const provider of providers) {
    await providerConfigurationChanged(tx, provider);
    await providerChanged(tx, provider);
  }
}

async function providersWith(db: Db, uuid: string): Promise<number[]> {
  const rows = await db
    .selectFrom('provider_scope_mapping')
    .select('provider_id')
    .where('mapping_uuid', '=', uuid)
    .execute();
  return rows.map((row) => row.provider_id);
}

const ref = (mapping: ScopeMappingRow) => modelRef('scopemapping', mapping.uuid, mapping.name);
