import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { AKPROX_PREFIX, OUTPOST_PREFIX } from '../contract/paths.ts';
import { METRICS_CONTENT_TYPE } from '../outpost/metrics.ts';
import type { ListenAddress } from '../settings/settings.ts';
import { listenOn } from './ports.ts';

const PINGS: ReadonlySet<string> = new Set([`${OUTPOST_PREFIX}/ping`, `${AKPROX_PREFIX}/ping`]);

/**
 * Opens the metrics and ping listeners (spec/outpost.md 3.1, 15.1). Held exclusively: they also keep a second instance
 * out.
 * @param collect gives the text of `/metrics`
 * @throws CodedError when an address cannot be had
 */
export async function openMetricsServers(
  addresses: readonly ListenAddress[],
  collect: () => Promise<string>,
): Promise<Server[]> {
  const servers: Server[] = [];
  try {
    for (const address of addresses) {
      const server = createServer((req, res) => void answer(req, res, collect));
      await listenOn(server, address, addresses, false, 'GATEHOUSE_LISTEN__METRICS');
      servers.push(server);
    }
    return servers;
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
}

async function answer(req: IncomingMessage, res: ServerResponse, collect: () => Promise<string>): Promise<void> {
  const path = req.url?.split('?', 1)[0] ?? '';
  if (PINGS.has(path)) return void res.writeHead(204).end();
  if (path !== '/metrics') return void res.writeHead(404, { 'Content-Type': 'text/plain' }).end('404 page not found\n');
  try {
    const text = await collect();
    res.writeHead(200, { 'Content-Type': METRICS_CONTENT_TYPE }).end(text);
  } catch {
    res.writeHead(500, { 'Content-Type': 'text/plain' }).end('The metrics cannot be collected right now.\n');
  }
}
