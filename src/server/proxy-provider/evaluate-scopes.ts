/** The claims of scope mappings, built-in ones computed here, others by Python (spec/server.md 4.2 and 4.3). */
import { entitlementsOf } from '../access/entitlements.ts';
import type { ServerContext } from '../context.ts';
import { deepMerge, isObject, mergeAttributes, mergedAttributes } from '../directory/attributes.ts';
import type { Attributes } from '../directory/attributes.ts';
import { directGroups, isSuperuser } from '../directory/membership.ts';
import type { Db } from '../storage/database.ts';
import type { ApplicationRow, ProviderRow, ScopeMappingRow, UserRow } from '../storage/rows.ts';
import type { Asker } from './expression-facts.ts';
import type { Incomplete } from './incomplete.ts';
import { keepGivenNames } from './mapping-headers.ts';
import { reportProblem } from './mapping-problems.ts';
import { mappingsOf } from './providers.ts';
import { runMappings } from './run-mappings.ts';
import type { Purpose } from './run-mappings.ts';

export interface ScopeRequest {
  provider: ProviderRow;
  application: ApplicationRow;
  user: UserRow;
  scopes: readonly string[];
  /**
   * which attributes go into `ak_proxy.user_attributes` (docs/architecture.md, decision 9): `filtered`, those an
   * official outpost needs for headers and Basic; `none`, for our own, which get headers beside the token
   */
  attributes?: 'filtered' | 'none';
  /** asked for when there are expressions; absent = not known */
  asker?: (() => Promise<Asker>) | undefined;
  purpose?: Purpose | undefined;
}

export interface EvaluatedScopes {
  claims: Attributes;
  /**
   * all that is in effect for headers and Basic credentials: attributes of groups and the person, and what mappings give
   * as `ak_proxy.user_attributes`, merged in the published order. For our own outposts, beside the token.
   */
  attributes: Attributes;
  /** claims are missing because Python did not come to them; they can be had later */
  incomplete: Incomplete;
}

type Mapping = (db: Db, request: ScopeRequest) => Promise<Attributes> | Attributes;

const PROXY = 'goauthentik.io/providers/proxy/scope-proxy';

const nothing: Mapping = () => ({});

const BUILT_IN: Readonly<Record<string, Mapping>> = {
  'goauthentik.io/providers/oauth2/scope-openid': nothing,
  'goauthentik.io/providers/oauth2/scope-offline_access': nothing,
  'goauthentik.io/providers/oauth2/scope-authentik_api': nothing,
  'goauthentik.io/providers/oauth2/scope-email': (_, { user }) => ({ email: user.email, email_verified: false }),
  'goauthentik.io/providers/oauth2/scope-profile': async (db, { user }) => ({
    name: user.name,
    given_name: user.name,
    preferred_username: user.username,
    nickname: user.username,
    groups: (await directGroups(db, user.id)).map((group) => group.name),
  }),
  'goauthentik.io/providers/oauth2/scope-entitlements': async (db, { user, application }) => {
    const entitlements = await entitlementsOf(db, user, application);
    return { entitlements, roles: entitlements };
  },
  [PROXY]: async (db, { user }) => ({
    ak_proxy: {
      user_attributes: await mergedAttributes(db, user),
      is_superuser: await isSuperuser(db, user.id),
    },
  }),
};

/** Claims the protocol itself makes (RFC 7519 4.1, OpenID Connect Core 2): no mapping replaces them. */
const PROTOCOL_CLAIMS =
  'iss sub aud exp nbf iat jti azp nonce auth_time acr amr sid at_hash c_hash s_hash uid scope client_id active'.split(
    ' ',
  );

/**
 * Evaluates the attached mappings whose scope was granted, in the order of scope names, and deep-merges what they give.
 * Python may be asked, which takes its time: so never within a change, and once for everything a call needs.
 * @throws CodedError `too-many-calls`, 429, when too many calls for the person wait; not for a login
 */
export async function evaluateScopes(ctx: ServerContext, request: ScopeRequest): Promise<EvaluatedScopes> {
  const { db } = ctx;
  const { provider, application, user, asker, scopes, purpose } = request;
  const mappings = (await mappingsOf(db, provider.id)).filter((mapping) => scopes.includes(mapping.scope_name));
  const own = mappings.filter((mapping) => mapping.managed === null);
  const { given, incomplete } = await runMappings(ctx, { provider, application, user, scopes, asker, purpose }, own);
  let claims: Attributes = {};
  // Kept apart: header names mean the same in every spelling, and who sees them is decided at the end
  let added: Attributes | undefined;
  for (const mapping of mappings) {
    const result = mapping.managed === null ? given.get(mapping.uuid) : await BUILT_IN[mapping.managed]?.(db, request);
    if (result === undefined) continue;
    const parts = await parted(ctx, request, mapping, result);
    claims = deepMerge(claims, parts.claims);
    if (parts.attributes === undefined) continue;
    added = mergeAttributes(added ?? {}, parts.attributes);
    if (mapping.managed === null) await keepGivenNames(ctx, mapping.uuid, parts.attributes);
  }
  for (const name of PROTOCOL_CLAIMS) delete claims[name];
  if (added !== undefined) {
    claims = deepMerge(claims, { ak_proxy: { user_attributes: visible(request, added) } });
  }
  const complete = mappings.some(({ managed }) => managed === PROXY);
  const attributes = complete ? (added ?? {}) : mergeAttributes(await mergedAttributes(db, user), added ?? {});
  return { claims, attributes, incomplete };
}

/** Takes `ak_proxy.user_attributes` out. What stands in their place and is no object would take everything else along. */
async function parted(
  ctx: ServerContext,
  request: ScopeRequest,
  mapping: ScopeMappingRow,
  result: Attributes,
): Promise<{ claims: Attributes; attributes: Attributes | undefined }> {
  const { ak_proxy, ...claims } = result;
  if (ak_proxy === undefined) return { claims: result, attributes: undefined };
  const { user_attributes, ...proxy } = isObject(ak_proxy) ? ak_proxy : {};
  if (!isObject(ak_proxy) || !(user_attributes === undefined || isObject(user_attributes))) {
    const place = isObject(ak_proxy) ? 'ak_proxy.user_attributes' : 'ak_proxy';
    const message = `${place} must be a dict; that part is left out.`;
    await reportProblem(ctx, request, { mapping, kind: place, message, warning: true });
  }
  return {
    claims: isObject(ak_proxy) ? { ...claims, ak_proxy: proxy } : claims,
    attributes: isObject(user_attributes) ? user_attributes : undefined,
  };
}

/** Which of them go into the token (docs/architecture.md, decision 9). */
function visible({ provider, attributes: who }: ScopeRequest, attributes: Attributes): Attributes {
  if (who === 'none') return {};
  const needed = ['additionalHeaders'];
  if (provider.basic_auth_enabled === 1) {
    needed.push(provider.basic_auth_user_attribute, provider.basic_auth_password_attribute);
  }
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => needed.includes(name)));
}
