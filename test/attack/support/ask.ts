/**
 * One HTTP request exactly as an attacker would write it: no redirect is followed, no header is added but `Host` and
 * `Connection: close`, names keep their spelling and may repeat.
 */
import { request } from 'node:http';
import { request as secureRequest } from 'node:https';

export type Pair = readonly [name: string, value: string];

export interface Question {
  port: number;
  method?: string;
  /** request target as it goes over the wire */
  path: string;
  /** value of the Host header */
  host: string;
  headers?: readonly Pair[];
  body?: string;
  /** local address to call from: 127.0.0.1 is a trusted peer in the suite, every other one is not */
  from?: string;
  /** speak TLS, whatever the certificate */
  tls?: boolean;
  /** ms until the call is given up */
  patience?: number;
}

export interface Answer {
  status: number;
  /** in the order received, names as spelled on the wire */
  pairs: Pair[];
  text: string;
  /** what was asked, for failure messages */
  asked: string;
  /** ms from the request to the end of the answer */
  took: number;
}

export function ask(question: Question): Promise<Answer> {
  const { port, method = 'GET', path, host, headers = [], body, from = '127.0.0.1' } = question;
  const { tls = false, patience = 45_000 } = question;
  const flat = ['Host', host, 'Connection', 'close'];
  if (headers.some(([name]) => name.toLowerCase() === 'connection')) flat.splice(2, 2);
  for (const [name, value] of headers) flat.push(name, value);
  if (body !== undefined) flat.push('Content-Length', String(Buffer.byteLength(body)));
  const asked = `${method} ${short(path)} at ${host}${from === '127.0.0.1' ? '' : ` from ${from}`}${describe(headers)}`;
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const req = (tls ? secureRequest : request)({
      rejectUnauthorized: false,
      host: '127.0.0.1',
      port,
      method,
      path,
      headers: flat,
      localAddress: from,
      agent: false,
      maxHeaderSize: 256 * 1024,
    });
    const fail = (error: Error) => reject(new Error(`${asked}: ${error.message}`));
    const timer = setTimeout(() => req.destroy(new Error(`no whole answer within ${patience} ms`)), patience);
    const finish = (status: number, raw: readonly string[], text: string) => {
      clearTimeout(timer);
      const pairs: Pair[] = [];
      for (let i = 0; i < raw.length; i += 2) pairs.push([raw[i] ?? '', raw[i + 1] ?? '']);
      resolve({ status, pairs, text, asked, took: performance.now() - started });
    };
    req.on('response', (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('error', fail);
      res.on('end', () => finish(res.statusCode ?? 0, res.rawHeaders, Buffer.concat(chunks).toString('utf8')));
    });
    req.on('upgrade', (res, socket) => {
      socket.destroy();
      finish(res.statusCode ?? 0, res.rawHeaders, '');
    });
    req.on('connect', (res, socket) => {
      socket.destroy();
      finish(res.statusCode ?? 0, res.rawHeaders, '');
    });
    req.on('error', (error) => {
      clearTimeout(timer);
      fail(error);
    });
    req.end(body);
  });
}

/** All values of one answer header, by case-insensitive name. */
export function all(answer: Answer, name: string): string[] {
  return answer.pairs.filter(([n]) => n.toLowerCase() === name.toLowerCase()).map(([, v]) => v);
}

/** The first value of one answer header, empty when it is absent. */
export const one = (answer: Answer, name: string): string => all(answer, name)[0] ?? '';

/** The question and the answer in one line. */
export function story(answer: Answer): string {
  const where = one(answer, 'location');
  return `${answer.asked} -> ${answer.status}${where === '' ? '' : ` Location: ${short(where)}`} ${short(answer.text.replace(/\s+/g, ' '))}`;
}

const describe = (headers: readonly Pair[]) =>
  headers.length === 0 ? '' : ` with ${headers.map(([n, v]) => `${n}: ${short(v, 60)}`).join(', ')}`;

const short = (text: string, most = 160) => (text.length <= most ? text : `${text.slice(0, most)}… (${text.length})`);
