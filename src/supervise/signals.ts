export interface SignalHandlers {
  /** SIGUSR1: fetch the configuration now */
  onRefresh: () => void;
  onError: (error: unknown) => void;
}

/** Why the process is to end. */
export interface Ending {
  /** exit code */
  code: number;
  /** SIGTERM comes from a service manager, which waits a while; SIGINT from a person, who does not */
  signal?: 'SIGTERM' | 'SIGINT';
}

/** @returns when a signal ends the process, or an error nobody caught */
export function untilSignal({ onRefresh, onError }: SignalHandlers): Promise<Ending> {
  return new Promise((resolve) => {
    // Not `once`: with Ctrl-C under npm the signal comes twice, from the terminal and from npm.
    process.on('SIGTERM', () => resolve({ code: 0, signal: 'SIGTERM' }));
    process.on('SIGINT', () => resolve({ code: 0, signal: 'SIGINT' }));
    process.on('SIGUSR1', onRefresh);
    process.once('uncaughtException', (error) => {
      onError(error);
      resolve({ code: 1 });
    });
  });
}

/** @returns after so many ms, or when a person wants the process to end now */
export async function delay(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  process.once('SIGINT', resolve);
  await promise;
  clearTimeout(timer);
  process.off('SIGINT', resolve);
}
