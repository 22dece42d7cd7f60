import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { describe, it } from 'node:test';
import { plainHeaders } from './http2.ts';
import { normalise } from './normalise.ts';
import { Peers } from './peers.ts';

/** A request as Node's compatibility API gives it, after the listener read it. */
function ask(raw: string[], url = '/') {
  const req = {
    stream: {},
    url,
    method: 'GET',
    httpVersion: '2.0',
    rawHeaders: plainHeaders(raw),
    socket: { remoteAddress: '127.0.0.1', encrypted: true },
  };
  return normalise(req as unknown as IncomingMessage, new Peers(['127.0.0.0/8']));
}

const PSEUDO = [':method', 'GET', ':scheme', 'https', ':path', '/'];

describe('an HTTP/2 request', () => {
  it('is for its authority, over https', () => {
    const { host, scheme, problem } = ask([...PSEUDO, ':authority', 'App.test']);
    assert.deepEqual([host, scheme, problem], ['app.test', 'https', undefined]);
    assert.equal(ask([...PSEUDO, 'host', 'app.test']).host, 'app.test');
  });

  it('is refused when Host and authority disagree, or there is neither', () => {
    assert.equal(ask([...PSEUDO, ':authority', 'app.test', 'host', 'evil.test']).problem?.code, 'duplicate-header');
    assert.equal(ask([...PSEUDO, ':authority', 'app.test', 'host', 'APP.test']).problem, undefined);
    assert.equal(ask([...PSEUDO, 'host', 'app.test', 'host', 'app.test']).problem?.code, 'duplicate-header');
    assert.equal(ask(PSEUDO).host, '');
  });

  it('reads cookies that came in pieces', () =>
    assert.equal(ask([...PSEUDO, 'cookie', 'a=1', 'x', 'y', 'cookie', 'b=2']).headers.cookie, 'a=1; b=2'));

  it('is none because an HTTP/1 request line says so', () => {
    const req = { url: '/', method: 'GET', httpVersion: '2.0', rawHeaders: ['Host', 'a.test'], socket: {} };
    assert.equal(normalise(req as unknown as IncomingMessage, new Peers([])).problem?.code, 'http-version');
  });
});
