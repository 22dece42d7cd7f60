/**
 * Chromium breaks off whatever is under way when an address comes or goes anywhere on the machine
 * (ERR_NETWORK_CHANGED): tests with networks of their own wait until no other test has a browser, and the other way round.
 */
import { Claims } from './claims.ts';
import { deadline, sleep } from './wait.ts';

const claims = new Claims('quiet-network');
const CHANGE = 'change';
const BROWSER = 'browser-';
/** Then it is done all the same: something holds on for longer than any test runs. */
const PATIENCE_MS = 300_000;
const LOOK_MS = 100;
let browsers = 0;

/** Waits until no network is changed. @returns what is to be called when the browser is gone */
export async function keepQuiet(): Promise<() => void> {
  const name = `${BROWSER}${process.pid}-${++browsers}`;
  // who has a browser already is waited for
  const first = !claims.mine().some((own) => own.startsWith(BROWSER));
  const over = deadline(PATIENCE_MS);
  for (claims.take(name); first && claims.others().includes(CHANGE) && !over(); claims.take(name)) {
    claims.release(name);
    await sleep(LOOK_MS);
  }
  return () => claims.release(name);
}

/** Adds or removes addresses of this machine while nobody else has a browser. */
export async function changeNetwork(change: () => void): Promise<void> {
  const over = deadline(PATIENCE_MS);
  while (!claims.take(CHANGE) && !over()) await sleep(LOOK_MS);
  try {
    while (claims.others().some((name) => name.startsWith(BROWSER)) && !over()) await sleep(LOOK_MS);
    change();
  } finally {
    if (claims.mine().includes(CHANGE)) claims.release(CHANGE);
  }
}
