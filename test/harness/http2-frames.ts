/** HTTP/2 written by hand (RFC 9113 4.1, RFC 7541): what no client library would send. */

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
export const SETTINGS = frame(4, 0, 0, Buffer.alloc(0));

const END_STREAM = 1;
const END_HEADERS = 4;

export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/**
 * A whole request without a body.
 * @param fields name and value as they are to stand there, pseudo headers too; each below 127 bytes
 */
export function headers(stream: number, fields: readonly (readonly [string, string])[]): Buffer {
  const text = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value, 'latin1')]);
  const block = fields.map(([name, value]) => Buffer.concat([Buffer.from([0]), text(name), text(value)]));
  return frame(1, END_STREAM | END_HEADERS, stream, Buffer.concat(block));
}

/** The client takes a request back. */
export function reset(stream: number): Buffer {
  const cancel = Buffer.alloc(4);
  cancel.writeUInt32BE(8);
  return frame(3, 0, stream, cancel);
}
