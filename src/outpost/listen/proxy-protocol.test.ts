import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readProxyHead } from './proxy-protocol.ts';

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const text = (line: string) => readProxyHead(Buffer.from(line, 'latin1'));

/** Version 2, written out. */
function binary(command: number, family: number, rest: Buffer, said = rest.length): Buffer {
  const fixed = Buffer.from([command, family, said >> 8, said & 0xff]);
  return Buffer.concat([SIGNATURE, fixed, rest]);
}

const tcp4 = (source: readonly number[], port: number, more = Buffer.alloc(0)) =>
  Buffer.concat([Buffer.from([...source, 10, 0, 0, 1, port >> 8, port & 0xff, 0x01, 0xbb]), more]);

describe('version 1', () => {
  const heads: [string, string | undefined, number?][] = [
    ['PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n', '203.0.113.9', 4711],
    ['PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n', '255.255.255.255', 65_535],
    ['PROXY TCP6 2001:db8::9 ::1 1 2\r\n', '2001:db8::9', 1],
    ['PROXY TCP6 ::ffff:203.0.113.9 ::1 0 2\r\n', '::ffff:203.0.113.9', 0],
    ['PROXY UNKNOWN\r\n', undefined],
    [`PROXY UNKNOWN ${'f'.repeat(91)}\r\n`, undefined],
  ];
  for (const [line, address, port = 0] of heads) {
    it(`reads ${JSON.stringify(line.slice(0, 60))}`, () => {
      const source = address === undefined ? undefined : { address, port };
      assert.deepEqual(text(`${line}GET / HTTP/1.1\r\n`), { kind: 'head', length: line.length, source });
      for (let n = 1; n < line.length; n++) assert.equal(text(line.slice(0, n)).kind, 'incomplete', String(n));
    });
  }

  const wrong = [
    'PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\n',
    'PROXY TCP4 203.0.113.9 10.0.0.1 4711\r\n',
    'PROXY TCP4 203.0.113.9  10.0.0.1 4711 443\r\n',
    'PROXY TCP4 203.0.113.9 10.0.0.1 4711 443 \r\n',
    'PROXY TCP4 203.0.113.9 10.0.0.1 04711 443\r\n',
    'PROXY TCP4 203.0.113.9 10.0.0.1 4711 65536\r\n',
    'PROXY TCP4 203.0.113.256 10.0.0.1 1 2\r\n',
    'PROXY TCP4 2001:db8::9 ::1 1 2\r\n',
    'PROXY TCP6 203.0.113.9 10.0.0.1 1 2\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n',
    'PROXY UDP4 203.0.113.9 10.0.0.1 1 2\r\n',
    'PROXY tcp4 203.0.113.9 10.0.0.1 1 2\r\n',
    'PROXY UNKNOWNX\r\n',
    'PROXY / HTTP/1.1\r\n',
    `PROXY UNKNOWN ${'f'.repeat(92)}\r\n`,
    `PROXY ${'x'.repeat(101)}`,
    'PROXY \r\n',
  ];
  for (const line of wrong) {
    it(`refuses ${JSON.stringify(line.slice(0, 60))}`, () => assert.equal(text(line).kind, 'malformed'));
  }
});

describe('version 2', () => {
  it('reads both families, and skips what follows the addresses', () => {
    const tlv = Buffer.from([0x20, 0, 3, 1, 2, 3]);
    const four = binary(0x21, 0x11, tcp4([203, 0, 113, 9], 4711, tlv));
    assert.deepEqual(readProxyHead(Buffer.concat([four, Buffer.from('GET')])), {
      kind: 'head',
      length: four.length,
      source: { address: '203.0.113.9', port: 4711 },
    });
    const rest = Buffer.alloc(36);
    rest.writeUInt32BE(0x20010db8, 0);
    rest.writeUInt16BE(9, 14);
    rest.writeUInt16BE(4711, 32);
    const six = readProxyHead(binary(0x21, 0x21, rest));
    assert.deepEqual(six, { kind: 'head', length: 52, source: { address: '2001:db8:0:0:0:0:0:9', port: 4711 } });
  });

  it('takes the proxy itself where it says LOCAL, names nobody, or a local socket', () => {
    const itself = (length: number) => ({ kind: 'head', length, source: undefined });
    assert.deepEqual(readProxyHead(binary(0x20, 0x00, Buffer.alloc(0))), itself(16));
    assert.deepEqual(readProxyHead(binary(0x20, 0x11, tcp4([203, 0, 113, 9], 1))), itself(28));
    assert.deepEqual(readProxyHead(binary(0x21, 0x00, Buffer.alloc(7))), itself(23));
    assert.deepEqual(readProxyHead(binary(0x21, 0x31, Buffer.alloc(216))), itself(232));
  });

  it('refuses other versions, commands, transports, and heads too short or too long', () => {
    const whole = tcp4([203, 0, 113, 9], 1);
    const wrong = [
      binary(0x11, 0x11, whole),
      binary(0x22, 0x11, whole),
      binary(0x21, 0x12, whole),
      binary(0x21, 0x22, Buffer.alloc(36)),
      binary(0x21, 0x41, whole),
      binary(0x21, 0x11, whole.subarray(0, 11)),
      binary(0x21, 0x21, Buffer.alloc(35)),
      binary(0x21, 0x11, whole, 4097),
      binary(0x20, 0x00, Buffer.alloc(0), 65_535),
    ];
    for (const bytes of wrong) assert.equal(readProxyHead(bytes).kind, 'malformed', bytes.toString('hex'));
  });
});

describe('readProxyHead', () => {
  it('takes what begins otherwise for no head', () => {
    for (const bytes of [
      'G',
      'GET / HTTP/1.1\r\n',
      '\x16\x03\x01',
      'PRI * HTTP/2.0\r\n',
      'PROXX',
      '\r\n\r\nGET',
      'proxy ',
    ]) {
      assert.equal(text(bytes).kind, 'none', bytes);
    }
  });

  it('reads every head it could be given, byte by byte, and no byte more', () => {
    const ip4 = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255));
    const head = fc.oneof(
      fc.tuple(ip4, fc.nat(65_535)).map(([ip, port]) => ({
        bytes: Buffer.from(`PROXY TCP4 ${ip.join('.')} 10.0.0.1 ${port} 443\r\n`),
        source: { address: ip.join('.'), port },
      })),
      fc.tuple(fc.ipV6().filter(isIPv6), fc.nat(65_535)).map(([address, port]) => ({
        bytes: Buffer.from(`PROXY TCP6 ${address} ::1 ${port} 443\r\n`),
        source: { address, port },
      })),
      fc.tuple(ip4, fc.nat(65_535), fc.uint8Array({ maxLength: 300 })).map(([ip, port, more]) => ({
        bytes: binary(0x21, 0x11, tcp4(ip, port, Buffer.from(more))),
        source: { address: ip.join('.'), port },
      })),
    );
    fc.assert(
      fc.property(head, fc.uint8Array({ maxLength: 40 }), ({ bytes, source }, after) => {
        const all = Buffer.concat([bytes, after]);
        assert.deepEqual(readProxyHead(all), { kind: 'head', length: bytes.length, source });
        for (let n = 1; n < bytes.length; n++) assert.equal(readProxyHead(bytes.subarray(0, n)).kind, 'incomplete');
      }),
    );
  });

  it('never throws, and never waits for more than it would read', () => {
    const begins = fc.constantFrom(Buffer.alloc(0), Buffer.from('PROXY '), Buffer.from('PROXY TCP4 '), SIGNATURE);
    fc.assert(
      fc.property(begins, fc.uint8Array({ minLength: 1, maxLength: 6000 }), (begin, more) => {
        const bytes = Buffer.concat([begin, more]);
        const head = readProxyHead(bytes);
        if (head.kind === 'incomplete') assert.ok(bytes.length < 16 + 4096);
        if (head.kind === 'head') assert.ok(head.length <= bytes.length);
      }),
    );
  });
});
