/** Tells of scope mappings that fail: in the audit log as published (spec/server.md 4.3), and in the log. */
import { LRUCache } from 'lru-cache';
import type { ServerContext } from '../context.ts';
import { modelRef, writeAudit } from '../events/audit.ts';
import type { Actor, AuditAction } from '../events/audit.ts';
import type { ExpressionContext, Json } from '../expressions/types.ts';
import type { ProviderRow, ScopeMappingRow, UserRow } from '../storage/rows.ts';

/** Every login and every refresh would tell the same: once in this time is enough. */
const QUIET_MS = 5 * 60_000;
const MAX_REMEMBERED = 1000;
const APP = 'gatehouse.mappings';
const MAX_SHOWN = 1000;

const told = new WeakMap<ServerContext, LRUCache<string, true>>();

export interface MappingProblem {
  mapping: ScopeMappingRow;
  /** decides what counts as the same problem */
  kind: string;
  /** what happened; it may repeat values the expression saw, see {@link withoutValues} */
  message: string;
  line?: number | undefined;
  /** a warning when the mapping ran and gave nothing that can be used */
  warning?: boolean;
}

/**
 * Writes the events, unless the same mapping failed in the same way in the last five minutes: a storm of logins must
 * not flood the log. Never inside a change.
 */
export async function reportProblem(
  ctx: ServerContext,
  { provider, user }: { provider: ProviderRow; user: UserRow },
  { mapping, kind, message, line, warning = false }: MappingProblem,
): Promise<void> {
  const where = line === undefined ? '' : `, line ${line}`;
  const sentence = `The scope mapping ${mapping.name} was left out${where}: ${message.slice(0, MAX_SHOWN)}`;
  ctx.log.warn({ mapping: mapping.name, provider: provider.name, user: user.username, kind }, sentence);
  const recent = told.get(ctx) ?? new LRUCache({ max: MAX_REMEMBERED, ttl: QUIET_MS });
  told.set(ctx, recent);
  const key = `${mapping.uuid} ${mapping.scope_name} ${kind} ${line ?? ''}`;
  if (recent.has(key)) return;
  recent.set(key, true);
  const context = {
    message: sentence,
    mapping: modelRef('scopemapping', mapping.uuid, mapping.name),
    provider: modelRef('proxyprovider', provider.id, provider.name),
    user: modelRef('user', user.id, user.username),
    hint: 'Try the mapping as this person: POST propertymappings/provider/scope/<pk>/test/.',
  };
  const actor: Actor = {
    user: { pk: user.id, username: user.username, email: user.email },
    clientIp: '',
  };
  const actions: AuditAction[] = warning
    ? ['configuration_warning']
    : ['configuration_error', 'property_mapping_exception'];
  for (const action of actions) await writeAudit(ctx.db, action, { app: APP, actor, context }, Date.now());
}

/** Shorter values are words that messages are made of. */
const LEAST_SECRET = 4;
const HIDDEN = '…';

/**
 * Python repeats in its messages what it could not work with. Attributes hold passwords, so no value of one may get into
 * a log that way; their names may.
 */
export function withoutValues(text: string, { user }: Pick<ExpressionContext, 'user'>): string {
  const values = new Set<string>();
  collect([user.attributes, user.group_attributes, user.all_groups.map((group) => group.attributes)], values);
  // the longest first: a value may lie within another
  return [...values].sort((a, b) => b.length - a.length).reduce((left, value) => left.replaceAll(value, HIDDEN), text);
}

function collect(value: Json, found: Set<string>): void {
  if (Array.isArray(value)) for (const item of value as readonly Json[]) collect(item, found);
  else if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) collect(item, found);
  else if (typeof value === 'string' || typeof value === 'number') {
    const text = String(value);
    if (text.length < LEAST_SECRET) return;
    found.add(text);
    // as `repr` writes it
    found.add(JSON.stringify(text).slice(1, -1));
    found.add(text.replace(/[\\']/g, '\\$&'));
  }
}
