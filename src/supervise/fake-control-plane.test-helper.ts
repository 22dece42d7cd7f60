/**
 * A control plane as far as the supervisor and workers see it: it answers on the private socket and tells its pid.
 * Forked by serve.test.ts; its orders are in the environment.
 */
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import type { ControlPlaneStart, FromControlPlane, ToControlPlane } from '../contract/process.ts';
import type { Settings } from '../settings/settings.ts';

const OUTPOST = { pk: 'op-1', name: 'embedded', refresh_interval_s: 300, config: {}, managed: null };
const page = (results: unknown[]) => JSON.stringify({ pagination: { next: 0 }, results });

/** Listens and answers until closed. */
export async function fakeControlPlane(
  start: ControlPlaneStart<Settings>,
): Promise<{ setupToken: string; close(): Promise<void> }> {
  const server = createServer((req, res) => {
    if (req.headers['x-gatehouse-link'] !== start.linkCredential) return res.writeHead(403).end();
    const internal = req.headers['x-gatehouse-internal'] === start.internalCredential;
    if (internal !== (req.headers['x-gatehouse-peer'] === undefined)) return res.writeHead(403).end();
    if (req.url?.startsWith('/api/v3/')) {
      const known = req.headers.authorization === `Bearer ${start.outpostToken}`;
      res.writeHead(known ? 200 : 403, { 'content-type': 'application/json' });
      return res.end(page(req.url.includes('/instances/') ? [OUTPOST] : []));
    }
    const answer = () => res.end(JSON.stringify({ pid: process.pid, peer: req.headers['x-gatehouse-peer'] }));
    if (req.url !== '/slow') return answer();
    res.write(' '); // whoever asks knows that it is under way
    return setTimeout(answer, 700);
  });
  new WebSocketServer({ server });
  rmSync(start.socketPath, { force: true });
  await new Promise<void>((resolve) => server.listen(start.socketPath, resolve));
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { setupToken: 'setup-token', close };
}

if (process.send) {
  const tell = (message: FromControlPlane) => new Promise<void>((resolve) => process.send?.(message, () => resolve()));
  process.on('message', (message: ToControlPlane<Settings>) => {
    if (message.kind === 'stop') process.exit(0);
    void (async () => {
      if (process.env['FAKE_FATAL']) {
        await tell({ kind: 'fatal', code: 'database-newer', sentence: 'The database is newer than this program.' });
        process.exit(1);
      }
      const { setupToken } = await fakeControlPlane(message);
      await tell({ kind: 'ready', setupToken });
    })();
  });
  process.on('disconnect', () => process.exit(0));
  process.on('SIGTERM', () => undefined);
}
