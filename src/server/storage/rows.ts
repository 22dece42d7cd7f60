/** Rows as they are read. */
import type { Selectable } from 'kysely';
import type { Database } from './schema.ts';

export type UserRow = Selectable<Database['user']>;
export type GroupRow = Selectable<Database['group_']>;
export type TokenRow = Selectable<Database['token']>;
export type SessionRow = Selectable<Database['session']>;
export type ApplicationRow = Selectable<Database['application']>;
export type DomainApplicationRow = Selectable<Database['domain_application']>;
export type EntitlementRow = Selectable<Database['application_entitlement']>;
export type BindingRow = Selectable<Database['policy_binding']>;
export type ProviderRow = Selectable<Database['proxy_provider']>;
export type ScopeMappingRow = Selectable<Database['scope_mapping']>;
export type FlowRow = Selectable<Database['flow']>;
export type KeypairRow = Selectable<Database['certificate_keypair']>;
export type OutpostRow = Selectable<Database['outpost']>;
