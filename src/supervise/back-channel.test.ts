import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { after, before, describe, it } from 'node:test';
import { makeCertificate } from '../certificates/make.ts';
import { openBackChannel } from './back-channel.ts';
import type { OpenBackChannel } from './back-channel.ts';

describe('the back channel of an outpost of its own', () => {
  let channel: OpenBackChannel;
  let port = 0;
  let stop = () => {};
  const seen: { url: string | undefined; headers: IncomingHttpHeaders; servername: unknown }[] = [];

  before(async () => {
    const { certificate, key } = await makeCertificate({ commonName: 'x', names: [], validDays: 2, alg: 'ecdsa' });
    const server = createServer({ cert: certificate, key }, (req, res) => {
      seen.push({ url: req.url, headers: req.headers, servername: (req.socket as TLSSocket & { servername: unknown }).servername }); // prettier-ignore
      res.end('{}');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
    channel = openBackChannel({ base: `https://localhost:${port}/auth/?q=1`, token: 'tok', verifyTls: false });
    stop = () => server.close().closeAllConnections();
  });
  after(async () => {
    await channel.close();
    stop();
  });

  const call = async (address: string, headers?: Record<string, string>) => {
    await (await channel.fetch(address, headers ? { headers } : {})).text();
    return seen.at(-1) ?? assert.fail('nothing came');
  };

  it('shows the token at the REST interface below the path of the server, and nowhere else', async () => {
    const { url, headers } = await call('api/v3/outposts/instances/');
    assert.equal(url, '/auth/api/v3/outposts/instances/');
    assert.equal(headers.authorization, 'Bearer tok');
    assert.equal((await call(`https://localhost:${port}/auth/application/o/token/`)).headers.authorization, undefined);
    assert.equal(channel.apiBase, `https://localhost:${port}/auth/api/v3/`);
  });

  it('goes to its server whatever host an address names', async () => {
    const { url, headers } = await call('http://login.company/auth/application/o/token/?a=b');
    assert.equal(url, '/auth/application/o/token/?a=b');
    assert.equal(headers.host, `localhost:${port}`);
  });

  it('says which address is meant, and still expects the certificate of its server', async () => {
    const meant = { host: 'login.company', 'x-forwarded-proto': 'https' };
    const { headers, servername } = await call(`https://localhost:${port}/auth/application/o/token/`, meant);
    assert.equal(headers.host, 'login.company');
    assert.equal(headers['x-forwarded-proto'], 'https');
    assert.equal(servername, 'localhost');
    assert.equal((await call('api/v3/outposts/instances/')).headers.host, `localhost:${port}`);
  });

  it('keeps nothing of the calls it made', async () => {
    for (let i = 0; i < 5; i++) await call('api/v3/outposts/instances/');
    assert.ok(performance.getEntriesByType('resource').length <= 1);
  });
});
