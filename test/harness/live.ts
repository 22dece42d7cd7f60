/** What stays open through a reverse proxy, and the text that reverse proxy runs. */
import { execFile } from 'node:child_process';
import { Agent, get } from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { WebSocket } from 'ws';
import { ROOT } from './gatehouse.ts';
import type { Gatehouse } from './gatehouse.ts';
import type { Received } from './upstream.ts';

const run = promisify(execFile);

/** Runs `gatehouse config` as a person does. @returns what it writes */
export async function configText(gatehouse: Gatehouse, words: readonly string[]): Promise<string> {
  const env = { GATEHOUSE_HOST: gatehouse.origin, GATEHOUSE_TOKEN: gatehouse.api.token };
  const line = [join(ROOT, 'src/main.ts'), 'config', ...words];
  return (await run(process.execPath, line, { encoding: 'utf8', env })).stdout;
}

/** @returns the first piece of an answer that does not end */
export function firstEvent(address: string, cookie: string): Promise<string> {
  const { host, hostname, port, pathname } = new URL(address);
  const agent = new Agent({ servername: hostname, rejectUnauthorized: false });
  return new Promise((resolve, reject) => {
    const req = get({ host: '127.0.0.1', port, path: pathname, agent, headers: { host, cookie } }, (res) => {
      res.once('data', (piece: Buffer) => {
        resolve(piece.toString());
        req.destroy();
      });
    });
    req.once('error', reject);
  });
}

/** @returns what reached the application at the handshake, and the echo of `ping`. @throws when it is not opened */
export function throughWebSocket(app: string, cookie: string): Promise<{ hello: Received; echo: string }> {
  const { host, hostname, port } = new URL(app);
  const socket = new WebSocket(`wss://127.0.0.1:${port}/live`, {
    headers: { host, cookie, 'sec-fetch-mode': 'websocket' },
    agent: new Agent({ servername: hostname, rejectUnauthorized: false }),
  });
  return new Promise((resolve, reject) => {
    let hello: Received | undefined;
    socket.once('error', reject);
    socket.on('message', (data: Buffer) => {
      if (hello === undefined) {
        hello = JSON.parse(data.toString()) as Received;
        return socket.send('ping');
      }
      resolve({ hello, echo: data.toString() });
      socket.close();
    });
  });
}
