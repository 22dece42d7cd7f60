/** How an outpost is, in words. */
import type { Health } from '../contract/health.ts';
import type { Reach } from './control/following.ts';

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
  { reach, configured, serving }: Pick<Health, 'configured' | 'serving'> & { reach: Reach },
  leaving: boolean,
  waitingFor: string | undefined,
): string {
  if (leaving) return 'It is stopping: requests under way may end, and nobody should be sent here.';
  if (!serving) return 'It is starting: its ports are not open yet.';
  const why = waitingFor === undefined ? '' : ` ${waitingFor}`;
  if (!configured) return `It is waiting for its configuration and serves nobody yet.${why}`;
  switch (reach) {
    case 'connected':
      return 'It is connected to the identity server, configured, and serving.';
    case 'answers':
      return `It is configured and serving. The identity server answers, but no events come from it: every session is asked about, again and again.${why}`;
    case 'refused':
      return `It is configured and serving, but the identity server refuses it: whoever is signed in is let in for five minutes more, a new login too.${why}`;
    case 'away':
      return `It is configured and serving, without the identity server: whoever is signed in notices nothing, nobody can sign in.${why}`;
  }
}

/** For the terminal, when the connection is there. */
export function connectedSentence(base: string, outpost: string | undefined, applications: number): string {
  const { origin, pathname } = new URL(base);
  const name = outpost === undefined ? '' : ` as ${JSON.stringify(outpost)}`;
  return `connected to ${origin}${pathname}${name}; applications: ${applications}`;
}
