import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { after, describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { freePort } from '../../../test/harness/ports.ts';
import { makeCertificate } from '../../certificates/make.ts';
import { openBackChannel } from '../back-channel.ts';
import { fetchConfiguration } from './rest.ts';
import { explainNoLink, explainUnreached } from './unreached.ts';

const running: Server[] = [];
after(() => {
  for (const server of running) server.close();
});

const open = async (server: Server): Promise<number> => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  running.push(server);
  return (server.address() as AddressInfo).port;
};
const answering = (listener: RequestListener) => open(createServer(listener));

/** What is said about a server that cannot be asked. */
async function said(base: string, verifyTls = true): Promise<string> {
  const server = { base, token: 'secret-token', verifyTls };
  const channel = openBackChannel(server);
  try {
    await fetchConfiguration(channel.fetch, [], () => undefined);
  } catch (error) {
    const sentence = explainUnreached(error, server);
    assert.doesNotMatch(sentence, /secret-token/);
    return sentence;
  } finally {
    await channel.close();
  }
  return assert.fail('it could be asked');
}

describe('an identity server that cannot be asked is explained', () => {
  it('when its name means nothing', async () => {
    assert.match(
      await said('http://login.invalid/'),
      /^The name login\.invalid cannot be resolved\. Correct AUTHENTIK_HOST/,
    );
  });

  it('when nothing listens', async () => {
    const port = await freePort();
    assert.match(await said(`http://127.0.0.1:${port}/`), new RegExp(`^Nothing listens at 127\\.0\\.0\\.1:${port}\\.`));
  });

  it('when it refuses the token', async () => {
    for (const status of [401, 403]) {
      const port = await answering((_, res) => res.writeHead(status).end('{"detail":"no"}'));
      assert.match(await said(`http://127.0.0.1:${port}/`), /refuses the token\..* AUTHENTIK_TOKEN\.$/);
    }
  });

  it('when the token is of no outpost', async () => {
    const port = await answering((_, res) => res.end('{"pagination":{"next":0},"results":[]}'));
    assert.match(await said(`http://127.0.0.1:${port}/`), /^This token belongs to no outpost\./);
  });

  it('when the address is another one', async () => {
    const other = /^What answers at http:\/\/127\.0\.0\.1:\d+\/auth\/ is not the interface of an identity server/;
    for (const listener of [
      (_, res) => res.writeHead(404).end('no'),
      (_, res) => res.end('<!doctype html><title>Welcome</title>'),
      (_, res) => res.end('{"name":"something else"}'),
    ] satisfies RequestListener[]) {
      assert.match(await said(`http://127.0.0.1:${await answering(listener)}/auth/`), other);
    }
    const moved = await answering((_, res) => res.writeHead(308, { location: 'https://login.company/?a=1' }).end());
    assert.match(await said(`http://127.0.0.1:${moved}/`), /leads elsewhere \(https:\/\/login\.company\/\)/);
  });

  it('when only the reverse proxy in front of it is there', async () => {
    const port = await answering((_, res) => res.writeHead(502).end());
    assert.match(await said(`http://127.0.0.1:${port}/`), /is starting or away: 502/);
  });

  it('when http and https are mixed up', async () => {
    const plain = await answering((_, res) => res.end());
    assert.match(await said(`https://127.0.0.1:${plain}/`), /does not speak TLS\. Begin AUTHENTIK_HOST with http:\/\//);
    const { secure } = await tls(['localhost']);
    assert.match(await said(`http://127.0.0.1:${secure}/`), /has to begin with https:\/\//);
  });

  it('when its certificate is not trusted, unless it is not to be verified', async () => {
    const { secure } = await tls(['localhost']);
    const untrusted = await said(`https://localhost:${secure}/`);
    assert.match(untrusted, /an authority this machine does not trust.*NODE_EXTRA_CA_CERTS.*AUTHENTIK_INSECURE=true/);
    const refused = await said(`https://localhost:${secure}/`, false);
    assert.match(refused, /refuses the token/, 'without verification it is asked');
  });

  it('when no WebSocket gets through', async () => {
    const port = await answering((_, res) => res.end('fine'));
    const server = { base: `http://127.0.0.1:${port}/` };
    const [error] = (await once(new WebSocket(`ws://127.0.0.1:${port}/ws/`), 'error')) as [Error];
    assert.match(explainNoLink(error, server), /lets no WebSocket through \(200\).*Upgrade and Connection/);
    const refusing = await answering((_, res) => res.writeHead(403).end());
    const [refusal] = (await once(new WebSocket(`ws://127.0.0.1:${refusing}/ws/`), 'error')) as [Error];
    assert.match(explainNoLink(refusal, server), /refuses the token/);
    const cut = await answering((req) => req.socket.destroy());
    const [reset] = (await once(new WebSocket(`ws://127.0.0.1:${cut}/ws/`), 'error')) as [Error];
    assert.match(explainNoLink(reset, server, true), /answers, but lets no WebSocket through\. Let/);
    assert.match(explainNoLink(reset, server), /ends connections without an answer/);
  });

  async function tls(names: string[]): Promise<{ secure: number }> {
    const { certificate, key } = await makeCertificate({
      commonName: 'server',
      names: names.map((value) => ({ type: 'dns', value })),
      validDays: 2,
      alg: 'ecdsa',
    });
    const listener: RequestListener = (_, res) => void res.writeHead(403).end();
    return { secure: await open(createSecureServer({ cert: certificate, key }, listener)) };
  }
});
