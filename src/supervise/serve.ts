import path from 'node:path';
import { settleMemory } from '../contract/settled-memory.ts';
import { processLog } from '../outpost/process-log.ts';
import type { Settings } from '../settings/settings.ts';
import { announcement } from './announce.ts';
import { openBackChannel } from './back-channel.ts';
import { keepControlPlane, runControlPlaneHere } from './control-plane.ts';
import type { ControlPlane, RunControlPlane } from './control-plane.ts';
import { STARTING } from './health.ts';
import { lockDataFolder } from './lock.ts';
import { openMetricsServers } from './metrics-server.ts';
import { fallbackCertificate, watchFallback } from './fallback-certificate.ts';
import type { MakeCertificate } from './fallback-certificate.ts';
import { controlPlaneStart, embeddedServer, httpPort, Outpost } from './outpost.ts';
import { probePorts } from './ports.ts';
import { makeRuntime } from './runtime-folder.ts';
import { untilSignal } from './signals.ts';
import { workersOf } from './start-workers.ts';

/** A demo that was started. */
export interface StartedDemo {
  /** lines for the person at the terminal */
  instructions: readonly string[];
  close(): Promise<void>;
}

export interface ServeOptions {
  /** sets up and starts the demo; absent = no demo. The command line gives it: only it may know every part. */
  startDemo?: (options: {
    fetch: typeof fetch;
    apiBase: string;
    token: string;
    httpPort: number;
    dataFile: string;
  }) => Promise<StartedDemo>;
  /** makes the certificate shown where no other fits; without it nothing listens for HTTPS */
  makeCertificate?: MakeCertificate;
  /** runs the control plane in this process; used with `--workers 0`, and given by the command line as well */
  runControlPlane?: RunControlPlane;
  /** entry point of the control plane's process; for tests */
  controlPlaneModule?: URL;
  /** entry point of a worker's process; for tests */
  workerModule?: URL;
}

/** How long requests under way may take to end when everything stops, ms. */
const DRAIN_MS = 10_000;
const STOP_MS = 5000;

/**
 * `gatehouse serve`: the identity server and its embedded outpost, until a signal ends it.
 * @returns exit code
 * @throws CodedError when something outside is in the way of a start: folder, ports, database
 */
export async function serve(settings: Settings, options: ServeOptions = {}): Promise<number> {
  const inOne = settings.workers === 0 && options.runControlPlane !== undefined;
  const logging = processLog(settings.logLevel, 'supervisor');
  const closers: (() => unknown)[] = [() => logging.flush()];
  try {
    const lock = lockDataFolder(settings.data);
    closers.push(() => lock.release());
    await probePorts(settings.listen.http, 'GATEHOUSE_LISTEN__HTTP');
    await probePorts(settings.listen.https, 'GATEHOUSE_LISTEN__HTTPS');
    let outpost: Outpost | undefined;
    const metrics = await openMetricsServers(settings.listen.metrics, {
      metrics: async () => (await outpost?.metrics()) ?? '',
      health: () => outpost?.health() ?? STARTING,
    });
    closers.push(() => metrics.forEach((server) => server.close().closeAllConnections()));
    const runtime = makeRuntime(settings.data);
    closers.push(() => runtime.remove());

    const make = settings.listen.https.length > 0 ? options.makeCertificate : undefined;
    const fallback = make && (await fallbackCertificate(settings.data, make));
    const start = controlPlaneStart(settings, runtime, options.startDemo !== undefined);
    const server = embeddedServer(settings, runtime);
    const source = workersOf(inOne ? 0 : settings.workers || undefined, false, options.workerModule);
    const { log } = logging;
    outpost = new Outpost({
      settings,
      dataFolder: settings.data,
      server,
      count: source.count,
      reusePort: source.reusePort,
      startWorker: () => source.startWorker(logging),
      fallback: fallback?.pair,
      log,
    });
    const { workers, control } = outpost;
    closers.push(() => workers.kill());
    if (make && fallback) {
      const failed = (error: Error) =>
        log.error({ error: error.message }, 'the self-signed certificate cannot be made anew');
      closers.push(watchFallback(settings.data, fallback.pair, make, (pair) => outpost?.setFallback(pair), failed));
    }
    await outpost.start(); // before the server, whose news must not be overwritten by what an earlier run kept
    const onReady = () => control?.start();
    const controlPlane = inOne
      ? runControlPlaneHere(options.runControlPlane!, start, onReady, log)
      : keepControlPlane(start, onReady, log, options.controlPlaneModule);
    closers.push(() => controlPlane.kill());
    const ended = untilSignal({
      onRefresh: () => void control?.reload(),
      onError: (error) => log.fatal(error, 'an unexpected error'),
    });

    let demo: StartedDemo | undefined;
    const up = bringUp({ settings, options, controlPlane, outpost, server, demoToken: start.demoToken }).then(
      (started) => (demo = started),
    );
    settleMemory();
    const { code } = await Promise.race([ended, up.then(() => ended)]); // also while it is still starting
    log.info('stopping');
    await demo?.close();
    await outpost.stop(DRAIN_MS);
    await controlPlane.stop(STOP_MS);
    return code;
  } finally {
    for (const close of closers.toReversed()) close();
  }
}

interface Parts {
  settings: Settings;
  options: ServeOptions;
  controlPlane: ControlPlane;
  outpost: Outpost;
  server: ReturnType<typeof embeddedServer>;
  demoToken: string | undefined;
}

/** Waits until everything answers, sets up the demo, and tells the person at the terminal. */
async function bringUp({ settings, options, controlPlane, outpost, server, demoToken }: Parts) {
  const [{ setupToken }] = await Promise.all([controlPlane.ready, outpost.workers.ready]);
  await outpost.configured;
  const demo = demoToken === undefined ? undefined : await startDemo(settings, options, server, demoToken);
  // Whoever is told an address must find it served. A fetch under way may be older than the demo: hence the second.
  for (let i = 0; demo !== undefined && i < 2; i += 1) await outpost.control?.refresh();
  const port = httpPort(settings);
  const securePort = options.makeCertificate && settings.listen.https[0]?.port;
  const more = demo ? ['', ...demo.instructions] : [];
  process.stderr.write(
    announcement({ settings, port, securePort, more, ...(setupToken === undefined ? {} : { setupToken }) }),
  );
  return demo;
}

async function startDemo(settings: Settings, options: ServeOptions, server: Parts['server'], token: string) {
  const channel = openBackChannel(server);
  try {
    const dataFile = path.join(settings.data, 'demo.json');
    const { fetch, apiBase } = channel;
    return await options.startDemo?.({ fetch, apiBase, token, httpPort: httpPort(settings), dataFile });
  } finally {
    await channel.close();
  }
}
