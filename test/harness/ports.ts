import { createServer } from 'node:net';
import { Claims } from './claims.ts';

/**
 * Ports of this test process. Several test files run side by side, and a port that was free a moment ago may be
 * someone's outgoing connection now; so ports come from below the kernel's ephemeral range, and are held until the
 * process ends.
 */
const FIRST = 20_000;
const COUNT = 10_000;
const claims = new Claims('ports');

export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (!claims.take(String(port))) continue;
    if (await canListen(port)) return port;
    claims.release(String(port));
  }
  throw new Error('no free port found for the test');
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '::', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
