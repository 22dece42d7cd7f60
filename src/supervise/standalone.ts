import { CodedError } from '../contract/errors.ts';
import { settleMemory } from '../contract/settled-memory.ts';
import { processLog } from '../outpost/process-log.ts';
import type { Settings } from '../settings/settings.ts';
import { fallbackCertificate, watchFallback } from './fallback-certificate.ts';
import type { MakeCertificate } from './fallback-certificate.ts';
import { STARTING } from './health.ts';
import { lockDataFolder } from './lock.ts';
import type { BackChannelOptions } from './messages.ts';
import { openMetricsServers } from './metrics-server.ts';
import { Outpost } from './outpost.ts';
import { probePorts } from './ports.ts';
import { delay, untilSignal } from './signals.ts';
import type { WorkerSource } from './start-workers.ts';

export interface StandaloneOptions {
  /** makes the certificate shown where no other fits; without it nothing listens for HTTPS */
  makeCertificate?: MakeCertificate;
  /** a sentence for the person at the terminal */
  say: (sentence: string) => void;
  /** perhaps started already: they need as long as everything here */
  workers: WorkerSource;
}

/** How long requests under way may take to end, ms. */
const DRAIN_MS = 10_000;

/**
 * `gatehouse outpost`: an outpost of its own, until a signal ends it. It opens its ports at once and never gives up on
 * its server.
 * @returns exit code
 * @throws CodedError when something outside is in the way of a start: ports, another Gatehouse on the same data
 */
export async function standalone(settings: Settings, options: StandaloneOptions): Promise<number> {
  const logging = processLog(settings.logLevel, 'supervisor');
  const { log } = logging;
  const closers: (() => unknown)[] = [() => logging.flush()];
  try {
    const held = holdDataFolder(settings.data);
    closers.push(() => held.release());
    if (held.problem !== undefined) {
      log.warn({ code: held.problem.code }, held.problem.message);
      options.say(held.problem.message);
    }
    await probePorts(settings.listen.http, 'GATEHOUSE_LISTEN__HTTP');
    await probePorts(settings.listen.https, 'GATEHOUSE_LISTEN__HTTPS');
    let outpost: Outpost | undefined;
    const metrics = await openMetricsServers(settings.listen.metrics, {
      metrics: async () => (await outpost?.metrics()) ?? '',
      health: () => outpost?.health() ?? STARTING,
    });
    closers.push(() => metrics.forEach((server) => server.close().closeAllConnections()));
    const make = settings.listen.https.length > 0 ? options.makeCertificate : undefined;
    const fallback = make && (await fallbackCertificate(held.folder, make));
    outpost = new Outpost({
      settings,
      dataFolder: held.folder,
      server: serverOf(settings),
      count: options.workers.count,
      reusePort: options.workers.reusePort,
      startWorker: () => options.workers.startWorker(logging),
      fallback: fallback?.pair,
      say: options.say,
      log,
    });
    const { workers, control } = outpost;
    closers.push(() => workers.kill());
    if (make && fallback) {
      const failed = (error: Error) =>
        log.error({ error: error.message }, 'the self-signed certificate cannot be made anew');
      closers.push(watchFallback(held.folder, fallback.pair, make, (pair) => outpost?.setFallback(pair), failed));
    }
    await outpost.start();
    control?.start();
    settleMemory();
    const ended = untilSignal({
      onRefresh: () => void control?.reload(),
      onError: (error) => log.fatal(error, 'an unexpected error'),
    });
    const { code, signal } = await Promise.race([ended, workers.ready.then(() => ended)]); // or no worker can listen
    log.info('stopping');
    outpost.leave();
    if (signal === 'SIGTERM') await delay(settings.stopDelay);
    await outpost.stop(DRAIN_MS);
    return code;
  } finally {
    for (const close of closers.toReversed()) close();
  }
}

interface HeldFolder {
  /** undefined = nothing can be kept */
  folder: string | undefined;
  /** why nothing can be kept */
  problem: CodedError | undefined;
  release(): void;
}

/**
 * Takes the data folder. An outpost does its work without one too: then a restart while the server is away finds
 * nothing.
 * @throws CodedError `data-folder-in-use`
 */
function holdDataFolder(folder: string): HeldFolder {
  try {
    const lock = lockDataFolder(folder);
    return { folder, problem: undefined, release: () => lock.release() };
  } catch (error) {
    if (!(error instanceof CodedError) || error.code === 'data-folder-in-use') throw error;
    const sentence = `${error.message} Until then nothing is kept: a restart while the identity server is away serves nobody.`;
    const problem = new CodedError(error.code, error.status, sentence, error.detail);
    return { folder: undefined, problem, release: () => undefined };
  }
}

/** How this outpost reaches its server: the address with a slash at its end, whatever was written. */
function serverOf({ outpost }: Settings): BackChannelOptions {
  if (outpost.host === undefined || outpost.token === undefined) throw new TypeError('settings of no outpost');
  const url = new URL(outpost.host);
  url.pathname = `${url.pathname}/`.replace(/\/{2,}/g, '/');
  url.hash = '';
  return { base: url.href, token: outpost.token, verifyTls: !outpost.insecure, browser: outpost.hostBrowser };
}
