/** Scope mappings as they are shown (spec/server.md 4.1). */
import { z } from 'zod';
import type { ScopeMappingRow } from '../../storage/rows.ts';
import { uuidOut } from '../fields.ts';

/** What mappings of every kind have in common: the items of `/propertymappings/all/`. */
const shared = {
  pk: uuidOut,
  managed: z.string().nullable(),
  name: z.string(),
  expression: z.string(),
  component: z.string(),
  verbose_name: z.string(),
  verbose_name_plural: z.string(),
  meta_model_name: z.string(),
};

export const PropertyMapping = z.strictObject(shared);
export const ScopeMapping = z.strictObject({ ...shared, scope_name: z.string(), description: z.string() });

export const propertyMapping = (row: ScopeMappingRow): z.output<typeof PropertyMapping> => ({
  pk: row.uuid,
  managed: row.managed,
  name: row.name,
  expression: row.expression,
  component: 'ak-property-mapping-provider-scope-form',
  verbose_name: 'Scope Mapping',
  verbose_name_plural: 'Scope Mappings',
  meta_model_name: 'authentik_providers_oauth2.scopemapping',
});

export const scopeMapping = (row: ScopeMappingRow): z.output<typeof ScopeMapping> => ({
  ...propertyMapping(row),
  scope_name: row.scope_name,
  description: row.description,
});
