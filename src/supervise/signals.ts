export interface SignalHandlers {
  /** SIGUSR1: fetch the configuration now */
  onRefresh: () => void;
  onError: (error: unknown) => void;
}

/** @returns exit code, when a signal ends the process or an error nobody caught */
export function untilSignal({ onRefresh, onError }: SignalHandlers): Promise<number> {
  return new Promise((resolve) => {
    // Not `once`: with Ctrl-C under npm the signal comes twice, from the terminal and from npm.
    process.on('SIGTERM', () => resolve(0));
    process.on('SIGINT', () => resolve(0));
    process.on('SIGUSR1', onRefresh);
    process.once('uncaughtException', (error) => {
      onError(error);
      resolve(1);
    });
  });
}
