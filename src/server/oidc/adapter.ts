/**
 * oidc-provider's storage port over our tables.
 *
 * - `Session` is our own session row, presented under its sid; oidc-provider may note its grants in it, nothing else.
 * - `Client` is the client of this exchange and no other: an issuer knows one client.
 * - `AccessToken` and `Interaction` are not kept: access tokens are issued by tokens.ts, and an interaction is our
 *   login page, which needs no memory.
 */
import { errors } from 'oidc-provider';
import type { Adapter, AdapterPayload } from 'oidc-provider';
import { endCredential } from '../directory/credentials.ts';
import { userByUid } from '../directory/users.ts';
import { acceptedRedirectUris } from '../proxy-provider/redirect-uris.ts';
import { providerSecrets } from '../proxy-provider/providers.ts';
import { consumeArtefact, deleteArtefact, findArtefact, REPLAY_MEMORY_MS, saveArtefact } from './artefacts.ts';
import { currentExchange } from './exchange.ts';
import { sessionPayload } from './session-payload.ts';

const KEPT: ReadonlySet<string> = new Set(['AuthorizationCode', 'Grant', 'RefreshToken']);

export class ArtefactAdapter implements Adapter {
  readonly #model: string;

  constructor(model: string) {
    this.#model = model;
  }

  async upsert(id: string, payload: AdapterPayload, expiresIn?: number): Promise<void> {
    const { ctx, live } = currentExchange();
    if (this.#model === 'Session') return noteClients(payload);
    if (!KEPT.has(this.#model)) return;
    await saveArtefact(ctx, this.#model, id, payload, {
      grantId: this.#model === 'Grant' ? id : payload.grantId,
      sid: live?.session.sid ?? payload.sessionUid,
      clientId: payload.clientId,
      userId: (live?.user ?? (await userByUid(ctx.db, payload.accountId ?? '')))?.id,
      expires: expiresIn === undefined ? undefined : Date.now() + expiresIn * 1000 + REPLAY_MEMORY_MS,
    });
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const { ctx } = currentExchange();
    if (this.#model === 'Client') return clientMetadata(id);
    if (this.#model === 'Session') return currentSession(id);
    if (!KEPT.has(this.#model)) return undefined;
    const artefact = await findArtefact(ctx, this.#model, id);
    if (artefact === undefined) return undefined;
    // A code or token of an ended session is dead, whenever it is presented
    if (artefact.sid !== null && (await ctx.sessions.findBySid(artefact.sid)) === undefined) return undefined;
    return artefact.consumed === null
      ? artefact.payload
      : { ...artefact.payload, consumed: Math.floor(artefact.consumed / 1000) };
  }

  async findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.#model === 'Session' ? currentSession(uid) : undefined;
  }

  findByUserCode(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async consume(id: string): Promise<void> {
    const { ctx } = currentExchange();
    const artefact = await findArtefact(ctx, this.#model, id);
    if (await consumeArtefact(ctx, this.#model, id)) return;
    // Two requests passed the check together: the second one is a replay like any other
    const grantId = artefact?.payload['grantId'];
    if (typeof grantId === 'string') await this.revokeByGrantId(grantId);
    throw new errors.InvalidGrant('already used');
  }

  async destroy(id: string): Promise<void> {
    if (KEPT.has(this.#model)) await deleteArtefact(currentExchange().ctx.db, this.#model, id);
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    const exchange = currentExchange();
    // Called once for each model, while the rows of all lie in one table; an exchange is about one grant
    if (exchange.replayed) return;
    exchange.replayed = true;
    await exchange.ctx.change((tx) => endCredential(tx, grantId));
  }
}

function currentSession(sid: string): AdapterPayload | undefined {
  const { live } = currentExchange();
  return live !== undefined && live.session.sid === sid ? sessionPayload(live) : undefined;
}

/** Remembers which applications a session signed in to. Written only when one is new: this is on every login's path. */
async function noteClients(payload: AdapterPayload): Promise<void> {
  const { ctx, live } = currentExchange();
  if (live === undefined) return;
  const known = JSON.parse(live.session.authorizations) as Record<string, unknown>;
  const added = Object.keys(payload.authorizations ?? {}).filter((clientId) => !Object.hasOwn(known, clientId));
  if (added.length === 0) return;
  const authorizations = { ...known, ...Object.fromEntries(added.map((id) => [id, {}])) };
  await ctx.db
    .updateTable('session')
    .set({ authorizations: JSON.stringify(authorizations) })
    .where('sid', '=', live.session.sid)
    .execute();
}

function clientMetadata(clientId: string): AdapterPayload | undefined {
  const { ctx, client } = currentExchange();
  const { provider } = client;
  if (provider.client_id !== clientId) return undefined;
  return {
    client_id: clientId,
    client_secret: providerSecrets(ctx.keyring, provider).client_secret,
    redirect_uris: acceptedRedirectUris(provider.external_host),
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token'],
    // oidc-provider takes the Basic header from such a client too
    token_endpoint_auth_method: 'client_secret_post',
    id_token_signed_response_alg: 'ES256',
  };
}
