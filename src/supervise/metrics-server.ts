import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { LIVE_PATH, READY_PATH } from '../contract/health.ts';
import type { Health } from '../contract/health.ts';
import { AKPROX_PREFIX, OUTPOST_PREFIX } from '../contract/paths.ts';
import { METRICS_CONTENT_TYPE } from '../outpost/metrics.ts';
import type { ListenAddress } from '../settings/settings.ts';
import { listenOn } from './ports.ts';

const PINGS: ReadonlySet<string> = new Set([`${OUTPOST_PREFIX}/ping`, `${AKPROX_PREFIX}/ping`]);

/** What the listener tells. */
export interface Told {
  /** text of `/metrics` */
  metrics(): Promise<string>;
  health(): Health;
}

/**
 * Opens the listeners for metrics, pings and health (spec/outpost.md 3.1, 15.1). Held exclusively: they also keep a second
 * instance out.
 * @throws CodedError when an address cannot be had
 */
export async function openMetricsServers(addresses: readonly ListenAddress[], told: Told): Promise<Server[]> {
  const servers: Server[] = [];
  try {
    for (const address of addresses) {
      const server = createServer((req, res) => void answer(req, res, told));
      await listenOn(server, address, addresses, false, 'GATEHOUSE_LISTEN__METRICS');
      servers.push(server);
    }
    return servers;
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
}

async function answer(req: IncomingMessage, res: ServerResponse, told: Told): Promise<void> {
  const path = req.url?.split('?', 1)[0] ?? '';
  if (PINGS.has(path)) return void res.writeHead(told.health().ready ? 204 : 503).end();
  if (path === LIVE_PATH) return void res.writeHead(200).end();
  if (path === READY_PATH) {
    const health = told.health();
    res.writeHead(health.ready ? 200 : 503, { 'Content-Type': 'application/json' });
    return void res.end(JSON.stringify(health));
  }
  if (path !== '/metrics') return void res.writeHead(404, { 'Content-Type': 'text/plain' }).end('404 page not found\n');
  try {
    const text = await told.metrics();
    res.writeHead(200, { 'Content-Type': METRICS_CONTENT_TYPE }).end(text);
  } catch {
    res.writeHead(500, { 'Content-Type': 'text/plain' }).end('The metrics cannot be collected right now.\n');
  }
}
