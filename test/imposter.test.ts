/** Over https every text asks nobody but who has a certificate for the name of the outpost. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { TARGETS } from '../src/commands/config/targets.ts';
import { configValues } from '../src/commands/config/values.ts';
import { Client } from './harness/client.ts';
import { EchoUpstream } from './harness/echo-upstream.ts';
import { FRONTS, startFront } from './harness/fronts.ts';
import type { FrontKind } from './harness/fronts.ts';
import { selfSigned } from './harness/nginx.ts';
import { freePort } from './harness/ports.ts';

describe('an outpost asked over https', () => {
  let folder: string;
  let certificate: string;
  /** says yes to everything */
  let server: Server;
  let upstream: EchoUpstream;
  const client = new Client();

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'gatehouse-imposter-'));
    const { cert, key } = await selfSigned(folder);
    certificate = cert;
    server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_req, res) => {
      res.writeHead(200, { 'X-Authentik-Username': 'alice', 'Content-Length': 0 }).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    upstream = await EchoUpstream.start();
  });
  after(async () => {
    await client.close();
    await upstream.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true, force: true });
  });

  /** @param trusted whether the reverse proxy takes our certificate for an authority's */
  async function status(kind: FrontKind, host: string, trusted: boolean): Promise<number> {
    const port = await freePort();
    const provider = {
      name: 'App',
      mode: 'forward_single' as const,
      external_host: `https://app.test:${port}`,
      internal_host: '',
      cookie_domain: '',
    };
    const outpostUrl = `https://${host}:${(server.address() as AddressInfo).port}`;
    let text = TARGETS[kind](configValues(provider, { outpostUrl, upstream: upstream.origin, host: undefined }));
    if (trusted) {
      text = text.replaceAll('/etc/ssl/certs/ca-certificates.crt', certificate).replaceAll('@system-ca', certificate);
    }
    const front = await startFront(kind, text, port, trusted ? { SSL_CERT_FILE: certificate } : {});
    try {
      return (await client.background('GET', `https://app.test:${port}/`)).status;
    } finally {
      await front.stop();
    }
  }

  for (const kind of FRONTS) {
    it(`is believed by ${kind} with a certificate for its name only`, async () => {
      const before = upstream.received.length;
      assert.ok((await status(kind, 'localhost', false)) >= 500, 'nobody vouches for it');
      assert.ok((await status(kind, '127.0.0.1', true)) >= 500, 'it has another name');
      assert.equal(upstream.received.length, before);
      assert.equal(await status(kind, 'localhost', true), 200);
      assert.equal(upstream.received.length, before + 1);
    });
  }
});
