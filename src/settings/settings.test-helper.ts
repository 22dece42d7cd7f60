/** Settings for tests: nothing listens, nothing is trusted, one process; what matters to a test is given by it. */
import type { Settings } from './settings.ts';

export function testSettings(data: string, over: Partial<Settings> = {}): Settings {
  return {
    listen: { http: [], https: [], metrics: [], trustedProxyCidrs: [], strictPeers: undefined },
    data,
    workers: 0,
    logLevel: 'info',
    webPath: '/',
    secretKey: undefined,
    cookieDomain: '',
    bootstrap: { password: undefined, token: undefined, email: undefined },
    disableEmbeddedOutpost: false,
    outpost: { host: undefined, token: undefined, insecure: false, hostBrowser: undefined },
    timeouts: { readHeader: 5000, read: 30_000, write: 60_000, idle: 120_000 },
    stopDelay: 0,
    logHttpHeaders: [],
    ...over,
  };
}
