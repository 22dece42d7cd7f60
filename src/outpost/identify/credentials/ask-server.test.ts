import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FakeServer, outpostInstance, providerConfig } from '../../data-plane.test-helper.ts';
import { TokenVerifier } from '../../login/verify-token.ts';
import { buildSite } from '../../sites/site.ts';
import { askServer } from './ask-server.ts';
import { readAuthorization } from './presented.ts';

const QUESTIONS = ['/application/o/token/', '/application/o/introspect/'];

/** Asks a server that takes its time. @returns the session, when it began, and when the server was asked; epoch ms */
async function ask(authorization: (server: FakeServer) => string | Promise<string>) {
  const began = Date.now();
  const clock = { ms: began };
  const now = () => clock.ms;
  const server = await new FakeServer(now).prepare();
  const presented = readAuthorization(await authorization(server));
  assert.ok(presented);
  let asked = 0;
  const slowly: typeof fetch = async (...request) => {
    const at = now();
    clock.ms += 3000;
    const answer = await server.fetch(...request);
    if (QUESTIONS.includes(server.calls.at(-1) ?? '')) asked = at;
    return answer;
  };
  const backChannel = { fetch: slowly, up: true, apiBase: '' };
  const { site } = buildSite(providerConfig(), {
    outpost: outpostInstance(),
    hostBrowser: undefined,
    openUpstream: () => assert.fail(),
    openBackend: () => assert.fail(),
  });
  assert.ok(site);
  const access = { backChannel, verifier: new TokenVerifier(backChannel, now), now };
  const verdict = await askServer(site, { presented, address: '192.0.2.1' }, access);
  assert.equal(verdict.kind, 'right');
  assert.ok(asked > 0 && now() >= asked + 3000, 'the server took its time');
  return { issuedAt: verdict.session.issuedAt, began, asked };
}

describe('askServer', () => {
  // whatever the outpost hears of meanwhile concerns the answer: its session must count as older
  for (const [what, authorization] of [
    ['user name and password', (server: FakeServer) => server.basic('robot')],
    ['a token', (server: FakeServer) => server.bearer()],
  ] as const) {
    it(`dates what ${what} gave from the moment of asking`, async () => {
      const { issuedAt, began, asked } = await ask(authorization);
      assert.ok(began <= issuedAt && issuedAt <= asked, `${issuedAt - began} ms after the beginning`);
    });
  }
});
