/** How an outpost is, in words. */
import type { Health } from '../contract/health.ts';

/** While nothing is open yet. */
export const STARTING: Health = {
  ready: false,
  connected: false,
  configured: false,
  serving: false,
  sentence: 'It is starting.',
};

/**
 * @param leaving it was told to stop
 * @param waitingFor why the server does not answer, as a sentence, when that is known
 */
export function healthSentence(
  { connected, configured, serving }: Pick<Health, 'connected' | 'configured' | 'serving'>,
  leaving: boolean,
  waitingFor: string | undefined,
): string {
  if (leaving) return 'It is stopping: requests under way may end, and nobody should be sent here.';
  if (!serving) return 'It is starting: its ports are not open yet.';
  const why = waitingFor === undefined ? '' : ` ${waitingFor}`;
  if (!configured) return `It is waiting for its configuration and serves nobody yet.${why}`;
  if (connected) return 'It is connected to the identity server, configured, and serving.';
  return `It is configured and serving, without the identity server: whoever is signed in notices nothing, nobody can sign in.${why}`;
}

/** For the terminal, when the connection is there. */
export function connectedSentence(base: string, outpost: string | undefined, applications: number): string {
  const { origin, pathname } = new URL(base);
  const name = outpost === undefined ? '' : ` as ${JSON.stringify(outpost)}`;
  return `connected to ${origin}${pathname}${name}; applications: ${applications}`;
}
