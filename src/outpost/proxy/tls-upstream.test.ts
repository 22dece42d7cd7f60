import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { carry } from './carry.ts';
import { NO_IDENTITY } from './target.ts';
import { Upstreams } from './upstreams.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'gatehouse-ca-'));
const file = (name: string) => path.join(folder, name);
const read = (name: string) => readFileSync(file(name), 'utf8');

const openssl = (...words: string[]) => void execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' });
const KEY = 'req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'.split(' ');

function authority(name: string): void {
  openssl(...KEY, '-x509', '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.crt`);
}

/** A certificate signed by `ca`. @param days how long it is valid from now on; negative = it was */
function sign(name: string, subjectAltName: string, days = 1): void {
  openssl(...KEY, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
  writeFileSync(file('names'), `subjectAltName=${subjectAltName}`);
  const signed = ['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'];
  openssl(...signed, '-extfile', 'names', '-days', String(days), '-out', `${name}.crt`);
}

describe('applications with https', () => {
  const upstreams = new Upstreams();
  const servers: Server[] = [];
  /** SNI of each connection, and whether a request came on a connection used before */
  const asked: (string | false | null)[] = [];
  let front: Server;
  let internal = '';
  let verify = true;
  let ca = '';
  let host = '';

  const listen = async (server: Server) => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    return (server.address() as AddressInfo).port;
  };
  const application = (name: string) => {
    const server = createTlsServer({ cert: read(`${name}.crt`), key: read(`${name}.key`) }, (req, res) =>
      res.end(`hello ${req.headers.host}`),
    );
    server.on('secureConnection', (socket: TLSSocket & { servername?: string | false }) =>
      asked.push(socket.servername ?? null),
    );
    return listen(server);
  };
  const ask = async (): Promise<string> => {
    const outgoing = request({ port: (front.address() as AddressInfo).port, host: '127.0.0.1', agent: false }).end();
    const [res] = (await once(outgoing, 'response')) as [IncomingMessage];
    let body = '';
    for await (const part of res) body += String(part);
    return body;
  };

  let good = 0;
  let expired = 0;
  let named = 0;
  let plain = 0;
  before(async () => {
    for (const name of ['ca', 'other']) authority(name);
    sign('good', 'DNS:localhost,IP:127.0.0.1');
    sign('expired', 'DNS:localhost', -1);
    sign('named', 'DNS:app.example.test');
    good = await application('good');
    expired = await application('expired');
    named = await application('named');
    plain = await listen(createServer((_, res) => res.end('plain')));
    front = createServer((req, res) =>
      carry(req, res, {
        upstream: upstreams.open(internal, verify, ca),
        rawTarget: req.url!,
        host,
        originalHost: 'app.example.test',
        scheme: 'https',
        peer: '192.0.2.7',
        trusted: false,
        identity: NO_IDENTITY,
        onFailure: (_, answer, error) => void answer.writeHead(error.status).end(error.code),
      }),
    );
    await listen(front);
  });
  after(async () => {
    await upstreams.destroy();
    for (const server of servers) server.close().closeAllConnections();
    rmSync(folder, { recursive: true });
  });
  const use = (address: string, more: { verify?: boolean; ca?: string; host?: string } = {}) => {
    internal = address;
    verify = more.verify ?? true;
    ca = more.ca ?? '';
    host = more.host ?? 'app.example.test';
    asked.length = 0;
  };

  it('are believed when an authority that is named signed for the internal host, whatever Host is sent', async () => {
    use(`https://localhost:${good}`, { ca: read('ca.crt') });
    assert.equal(await ask(), 'hello app.example.test');
    host = 'another.example.test';
    assert.equal(await ask(), 'hello another.example.test');
    assert.deepEqual(asked, ['localhost'], 'one connection, SNI of the internal host');
    use(`https://127.0.0.1:${good}`, { ca: `${read('other.crt')}\n${read('ca.crt')}` });
    assert.equal(await ask(), 'hello app.example.test');
    assert.deepEqual(asked, [false], 'an address has no SNI');
  });

  it('are refused with the reason', async () => {
    const cases = [
      ['upstream-certificate-untrusted', `https://localhost:${good}`, ''],
      ['upstream-certificate-untrusted', `https://localhost:${good}`, read('other.crt')],
      ['upstream-certificate-expired', `https://localhost:${expired}`, read('ca.crt')],
      ['upstream-certificate-name', `https://localhost:${named}`, read('ca.crt')],
      ['upstream-certificate-name', `https://127.0.0.1:${named}`, read('ca.crt')],
      ['upstream-not-https', `https://localhost:${plain}`, read('ca.crt')],
    ] as const;
    for (const [code, address, pem] of cases) {
      use(address, { ca: pem });
      assert.equal(await ask(), code, address);
    }
  });

  it('are not checked when that is switched off', async () => {
    use(`https://localhost:${expired}`, { verify: false });
    assert.equal(await ask(), 'hello app.example.test');
  });

  it('need an authority that can be read', () => {
    assert.throws(() => upstreams.open('https://localhost', true, 'no certificate'), { code: 'upstream-ca' });
  });
});
