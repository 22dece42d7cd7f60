/** The audit log: who did what, as published (spec/server.md 12). */
import { randomUUID } from 'node:crypto';
import type { Db } from '../storage/database.ts';
import { cleanse } from './cleanse.ts';

/** Published action words. */
export type AuditAction =
  | 'login'
  | 'login_failed'
  | 'logout'
  | 'user_write'
  | 'suspicious_request'
  | 'password_set'
  | 'secret_view'
  | 'secret_rotate'
  | 'authorize_application'
  | 'policy_exception'
  | 'property_mapping_exception'
  | 'system_exception'
  | 'configuration_error'
  | 'configuration_warning'
  | 'model_created'
  | 'model_updated'
  | 'model_deleted';

/** Who acts: a person, or nobody in particular (the program itself, someone not signed in). */
export interface Actor {
  user: { pk: number; username: string; email: string } | undefined;
  /** empty when there is none */
  clientIp: string;
}

export const SYSTEM: Actor = { user: undefined, clientIp: '' };

export interface AuditEntry {
  /** what it is about; secrets in it are masked (cleanse.ts) */
  context?: Readonly<Record<string, unknown>>;
  /** part of the program, e.g. `gatehouse.flows`; default `gatehouse` */
  app?: string;
  /** instead of the change's own actor */
  actor?: Actor;
}

const KEEP_MS = 365 * 86_400_000;

/** Writes one entry. Inside a change use `tx.audit`, which knows the actor. */
export async function writeAudit(db: Db, action: AuditAction, entry: AuditEntry, now: number): Promise<void> {
  const actor = entry.actor ?? SYSTEM;
  await db
    .insertInto('event')
    .values({
      uuid: randomUUID(),
      user_json: JSON.stringify(actor.user ?? {}),
      action,
      app: entry.app ?? 'gatehouse',
      context: JSON.stringify(cleanse(entry.context ?? {})),
      client_ip: actor.clientIp,
      created: now,
      expires: now + KEEP_MS,
    })
    .execute();
}

/** Forgets entries past their year. */
export async function pruneAudit(db: Db, now: number): Promise<void> {
  await db.deleteFrom('event').where('expires', '<', now).execute();
}

const MODELS = {
  user: 'authentik_core.user',
  group: 'authentik_core.group',
  application: 'authentik_core.application',
  applicationentitlement: 'authentik_core.applicationentitlement',
  token: 'authentik_core.token',
  authenticatedsession: 'authentik_core.authenticatedsession',
  domainapplication: 'gatehouse.domainapplication',
  policybinding: 'authentik_policies.policybinding',
  proxyprovider: 'authentik_providers_proxy.proxyprovider',
  scopemapping: 'authentik_providers_oauth2.scopemapping',
  outpost: 'authentik_outposts.outpost',
  certificatekeypair: 'authentik_crypto.certificatekeypair',
} as const;

/** Published form of a reference to a thing: `{pk, name, app, model_name}`. */
export function modelRef(kind: keyof typeof MODELS, pk: string | number, name: string) {
  const [app, model_name] = MODELS[kind].split('.');
  return { pk, name, app, model_name };
}
