/** Machines in front of the OpenID Provider, for tests. */
import assert from 'node:assert/strict';
import { EXTENSION_HEADER } from '../../contract/extension.ts';
import { createToken } from '../directory/tokens.ts';
import type { TokenIntent } from '../directory/tokens.ts';
import type { UserRow } from '../storage/rows.ts';
import { addClient, addUser, RelyingParty, startServer } from './oidc.test-helper.ts';
import type { TestClient, TestServer } from './oidc.test-helper.ts';

export const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** of our own outposts */
export const OURS = { [EXTENSION_HEADER]: '1' };
const SCOPE = 'openid profile email ak_proxy';

export type Answer = Awaited<ReturnType<RelyingParty['post']>>;

export class Machines {
  readonly server: TestServer;
  readonly wiki: TestClient;
  readonly rp: RelyingParty;
  readonly alice: UserRow;
  readonly eve: UserRow;
  /** headers that say where the machine is */
  from: Record<string, string> = {};
  #made = 0;

  private constructor(server: TestServer, wiki: TestClient, rp: RelyingParty, people: [alice: UserRow, eve: UserRow]) {
    this.server = server;
    this.wiki = wiki;
    this.rp = rp;
    [this.alice, this.eve] = people;
  }

  static async start(): Promise<Machines> {
    const server = await startServer();
    const alice = await addUser(server.ctx, 'alice', { email: 'alice@example.test' });
    const eve = await addUser(server.ctx, 'eve');
    const wiki = await addClient(server.ctx, 'wiki');
    return new Machines(server, wiki, await RelyingParty.discover(server.base, wiki), [alice, eve]);
  }

  /** @returns a number nobody had */
  next = (): number => ++this.#made;

  /** Goes to another address: failures at one are not those at another. */
  move(): void {
    this.from = { 'x-test-client': `198.51.100.${this.next()}` };
  }

  appPassword = (user: UserRow, more: { intent?: TokenIntent; expires?: number } = {}) =>
    this.server.ctx.change((tx) =>
      createToken(tx, { identifier: `t${this.next()}`, intent: 'app_password', user: user.id, ...more }),
    );

  ask = (form: Record<string, string>, headers: Record<string, string> = {}, client = this.wiki): Promise<Answer> =>
    this.rp.post(
      { grant_type: 'client_credentials', client_id: client.provider.client_id, scope: SCOPE, ...form },
      { ...this.from, ...headers },
    );

  introspect = async (token: string, client = this.wiki, headers: Record<string, string> = {}) => {
    const form = { token, client_id: client.provider.client_id, client_secret: client.secret };
    return (await this.rp.post(form, headers, '/application/o/introspect/')).body;
  };

  userinfo = (token: string): Promise<Response> =>
    fetch(`${this.server.base}/application/o/userinfo/`, { headers: { authorization: `Bearer ${token}` } });

  events = (action: string) =>
    this.server.ctx.db.selectFrom('event').selectAll().where('action', '=', action).orderBy('created').execute();
}

export function tokenOf(answer: Answer): string {
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return String(answer.body['access_token']);
}

export function refused(answer: Answer, about: RegExp = /not valid/): void {
  assert.equal(answer.status, 400, JSON.stringify(answer.body));
  assert.equal(answer.body['error'], 'invalid_grant');
  assert.match(String(answer.body['error_description']), about);
  assert.ok(!('access_token' in answer.body));
  assert.equal(answer.headers.get('cache-control'), 'no-store');
}
