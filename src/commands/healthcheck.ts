/** Asks the server or outpost on this machine how it is. Loads little: container engines run it every few seconds. */
import { get } from 'node:http';
import { READY_PATH } from '../contract/health.ts';
import type { Health } from '../contract/health.ts';
import { OUTPOST_PREFIX } from '../contract/paths.ts';
import type { ListenAddress, Settings } from '../settings/settings.ts';

const TIMEOUT_MS = 3000;

export interface CheckedHealth {
  /** visitors may be sent here */
  well: boolean;
  /** for a person */
  sentence: string;
}

/** Looks at the listener for metrics, which tells how things are, and at the one for visitors. */
export async function checkHealth({ listen }: Pick<Settings, 'listen'>): Promise<CheckedHealth> {
  const [metrics, http] = [listen.metrics[0], listen.http[0]];
  if (metrics === undefined || http === undefined) throw new TypeError('settings name at least one address of each');
  const told = await ask(metrics, READY_PATH);
  if (typeof told === 'string') {
    return unwell(`Nothing answers at ${authority(metrics)} (${told}). It is not running, or listens elsewhere.`);
  }
  const health = readHealth(told.text);
  if (health === undefined) return unwell(`What answers at ${authority(metrics)} is no Gatehouse.`);
  if (!health.ready) return unwell(health.sentence);
  const ping = await ask(http, `${OUTPOST_PREFIX}/ping`);
  if (typeof ping === 'string') return unwell(`Nothing answers visitors at ${authority(http)} (${ping}).`);
  if (ping.status !== 204) return unwell(`Visitors are answered ${ping.status} at ${authority(http)}.`);
  return { well: true, sentence: health.sentence };
}

const unwell = (sentence: string): CheckedHealth => ({ well: false, sentence });

/** On this machine: an address that stands for all is asked at loopback. */
function authority({ host, port }: ListenAddress): string {
  if (host === '::' || host === '0.0.0.0') return `127.0.0.1:${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** @returns the answer, or why there is none */
function ask(address: ListenAddress, path: string): Promise<{ status: number; text: string } | string> {
  const { promise, resolve } = Promise.withResolvers<{ status: number; text: string } | string>();
  const request = get(`http://${authority(address)}${path}`, { agent: false, timeout: TIMEOUT_MS }, (answer) => {
    let text = '';
    answer.setEncoding('utf8').on('data', (part: string) => (text += part));
    answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    answer.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
  request.on('timeout', () => request.destroy(Object.assign(new Error(), { code: 'no answer in time' })));
  request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  return promise;
}

function readHealth(text: string): Health | undefined {
  try {
    const health = JSON.parse(text) as Partial<Health> | null;
    return typeof health?.ready === 'boolean' && typeof health.sentence === 'string' ? (health as Health) : undefined;
  } catch {
    return undefined;
  }
}
