import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { loadSettings } from '../settings/load.ts';
import { ApiClient, apiAccess } from './api-client.ts';

async function serving(
  answer: (req: IncomingMessage, res: ServerResponse) => void,
  use: (base: string) => Promise<void>,
) {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const json = (res: ServerResponse, status: number, value: unknown) => {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
};

describe('where commands ask', () => {
  it('is the server named, with the token given', () => {
    const { settings } = loadSettings({ GATEHOUSE_HOST: 'https://login.company/base', AUTHENTIK_TOKEN: 'key' });
    assert.deepEqual(apiAccess(settings), { base: 'https://login.company/base/', token: 'key', verifyTls: true });
  });

  it('is this machine, with the token of the first start', () => {
    const env = { GATEHOUSE_LISTEN__HTTP: ':9100', GATEHOUSE_WEB__PATH: '/id/', GATEHOUSE_BOOTSTRAP_TOKEN: 'first' };
    assert.deepEqual(apiAccess(loadSettings(env).settings), {
      base: 'http://localhost:9100/id/',
      token: 'first',
      verifyTls: true,
    });
  });

  it('is said to be unknown without a token', () => {
    assert.throws(() => apiAccess(loadSettings({}).settings), { code: 'no-api-token' });
  });
});

describe('the REST client of the commands', () => {
  it('asks with the token, and finds by exact name', () =>
    serving(
      (req, res) => {
        assert.equal(req.url, '/api/v3/providers/proxy/?name__iexact=app');
        assert.equal(req.headers.authorization, 'Bearer key');
        json(res, 200, { results: [{ name: 'APP' }, { name: 'app', pk: 2 }] });
      },
      async (base) => {
        const client = new ApiClient({ base, token: 'key', verifyTls: true });
        assert.equal((await client.named('providers/proxy/?name__iexact=app', 'app'))['pk'], 2);
        await assert.rejects(client.named('providers/proxy/?name__iexact=app', 'App'), { code: 'no-such-object' });
        await client.close();
      },
    ));

  it('sends what is posted', () =>
    serving(
      (req, res) => {
        let body = '';
        req.on('data', (chunk: Buffer) => (body += chunk.toString()));
        req.on('end', () => json(res, 200, { got: JSON.parse(body) as unknown, method: req.method }));
      },
      async (base) => {
        const client = new ApiClient({ base, token: 'key', verifyTls: true });
        assert.deepEqual(await client.post('x/', { a: 1 }), { got: { a: 1 }, method: 'POST' });
        await client.close();
      },
    ));

  const failures: [string, (res: ServerResponse) => void][] = [
    ['api-refused', (res) => json(res, 403, { detail: 'no' })],
    ['api-invalid', (res) => json(res, 400, { user: ['There is no user called "x".'] })],
    ['api-answer', (res) => json(res, 500, {})],
    ['api-answer', (res) => void res.writeHead(200).end('<html>')],
    ['api-unreachable', (res) => void res.writeHead(302, { location: 'https://evil.test/' }).end()],
    ['api-unreachable', (res) => void res.destroy()],
  ];
  for (const [index, [code, answer]] of failures.entries()) {
    it(`says what went wrong (${index}: ${code}), without the token`, () =>
      serving(
        (_req, res) => answer(res),
        async (base) => {
          const client = new ApiClient({ base, token: 'secret-key', verifyTls: true });
          await assert.rejects(client.get('x/'), (error: Error & { code?: string }) => {
            assert.equal(error.code, code);
            assert.doesNotMatch(error.message, /secret-key/);
            return true;
          });
          await client.close();
        },
      ));
  }
});
