/** A small application that knows nothing of logins: it shows who the headers say you are. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { applicationPage } from './page.ts';

/**
 * Starts the application on a loopback address.
 * @param port the port to have if it is free, else any
 */
export async function startApplication(port: number): Promise<{ port: number; close: () => Promise<void> }> {
  const server = await listen(port).catch(() => listen(0));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(port: number): Promise<Server> {
  const server = createServer(answer);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

function answer(req: IncomingMessage, res: ServerResponse): void {
  const path = (req.url ?? '/').split('?')[0];
  req.resume();
  if (path === '/echo') {
    res.writeHead(200, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
    res.end(JSON.stringify({ method: req.method, url: req.url, headers: pairs(req.rawHeaders) }, null, 2));
    return;
  }
  res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  res.end(applicationPage(req.url ?? '/', visitorOf(req)));
}

/** What the identity headers say; absent ones are empty. */
export interface Visitor {
  name: string;
  username: string;
  email: string;
  groups: string[];
  uid: string;
  application: string;
}

/** Header values are UTF-8, which Node reads as latin-1. */
function visitorOf(req: IncomingMessage): Visitor {
  const header = (name: string) =>
    Buffer.from(String(req.headers[`x-authentik-${name}`] ?? ''), 'latin1').toString('utf8');
  return {
    name: header('name'),
    username: header('username'),
    email: header('email'),
    groups: header('groups')
      .split('|')
      .filter((group) => group !== ''),
    uid: header('uid'),
    application: header('meta-app'),
  };
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i] ?? '', raw[2 * i + 1] ?? '']);
}
