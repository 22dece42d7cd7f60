import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Claims } from './claims.ts';
import { changeNetwork } from './quiet-network.ts';
import { demandRoot } from './tmpfs.ts';
import { guard } from './wait.ts';

const run = (line: string): void => {
  const [command = '', ...args] = line.split(' ');
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
};

const claims = new Claims('networks');

/** The first three numbers of addresses nobody on this machine uses, not even what a killed test left behind. */
function freeSubnet(): string {
  const used = execFileSync('ip', ['-o', '-4', 'address'], { encoding: 'utf8' });
  for (let i = 0; i < 10_000; i++) {
    const number = (process.pid * 7 + i) % 10_000;
    const subnet = `10.${100 + Math.floor(number / 100)}.${1 + (number % 100)}`;
    if (!used.includes(` ${subnet}.`) && claims.take(subnet)) return subnet;
  }
  throw new Error('no free network found for the test');
}

/**
 * Two network namespaces joined with each other and with the test, each with its own 443, 9000 and 9300:
 *
 *   test  .1 ── .2  gate (Gatehouse)      <subnet>.0/30
 *   test  .5 ── .6  web  (nginx)          <subnet>.4/30
 *   web   .9 ── .10 gate                  <subnet>.8/30
 */
export class Namespaces {
  readonly gate: string;
  readonly web: string;
  readonly #subnet: string;
  readonly #links: string[] = [];
  readonly #between: { near: string; far: string };
  readonly #id: string;
  #done: (() => void) | undefined;

  /** @param index keeps the names of several of them in one process apart */
  constructor(index: number) {
    demandRoot('making network namespaces');
    const id = `gh${process.pid % 100_000}${'abcdefgh'[index]}`;
    this.gate = `${id}g`;
    this.web = `${id}w`;
    this.#subnet = freeSubnet();
    this.#id = id;
    this.#between = { near: `${id}3x`, far: `${id}3y` };
  }

  /** Makes what the constructor gave names to. */
  async create(): Promise<void> {
    this.#done = guard.undoAtExit(() => this.#delete());
    await changeNetwork(() => {
      for (const name of [this.gate, this.web]) {
        run(`ip netns add ${name}`);
        run(`ip -n ${name} link set lo up`);
      }
      this.#join(`${this.#id}1`, undefined, this.gate, 1);
      this.#join(`${this.#id}2`, undefined, this.web, 5);
      this.#join(`${this.#id}3`, this.web, this.gate, 9);
    });
  }

  /** address of the test as Gatehouse sees it: private, not loopback */
  get test(): string {
    return `${this.#subnet}.1`;
  }
  /** Gatehouse as the test reaches it */
  get gateForTest(): string {
    return `${this.#subnet}.2`;
  }
  /** address of the test as nginx reaches it */
  get testForWeb(): string {
    return `${this.#subnet}.5`;
  }
  /** nginx as the test reaches it */
  get webForTest(): string {
    return `${this.#subnet}.6`;
  }
  /** Gatehouse as nginx reaches it */
  get gateForWeb(): string {
    return `${this.#subnet}.10`;
  }

  /** nginx as Gatehouse sees it */
  get webForGate(): string {
    return `${this.#subnet}.9`;
  }

  /**
   * Cuts the line between `web` and `gate`: nobody is told, packets go nowhere.
   * @param at the end that is pulled: at that side there is no way any more, at the other one nothing comes back
   * @returns the function that mends it
   */
  cut(at: 'web' | 'gate'): () => void {
    const [name, link] = at === 'web' ? [this.web, this.#between.near] : [this.gate, this.#between.far];
    run(`ip -n ${name} link set ${link} down`);
    return () => run(`ip -n ${name} link set ${link} up`);
  }

  #join(link: string, from: string | undefined, to: string, first: number): void {
    const near = `${link}x`;
    const far = `${link}y`;
    run(`ip link add ${near} type veth peer name ${far}`);
    this.#links.push(near);
    run(`ip link set ${far} netns ${to}`);
    if (from !== undefined) run(`ip link set ${near} netns ${from}`);
    const inside = from === undefined ? '' : `-n ${from} `;
    // an address of IPv6 would come by itself, seconds later
    if (existsSync('/proc/net/if_inet6')) run(`ip ${inside}link set ${near} addrgenmode none`);
    run(`ip ${inside}addr add ${this.#subnet}.${first}/30 dev ${near}`);
    run(`ip ${inside}link set ${near} up`);
    run(`ip -n ${to} addr add ${this.#subnet}.${first + 1}/30 dev ${far}`);
    run(`ip -n ${to} link set ${far} up`);
  }

  async remove(): Promise<void> {
    if (this.#done === undefined) return;
    await changeNetwork(() => {
      this.#done?.();
      this.#delete();
    });
  }

  #delete(): void {
    for (const link of this.#links.slice(0, 2)) {
      try {
        run(`ip link del ${link}`);
      } catch {
        // went with its namespace
      }
    }
    for (const name of [this.gate, this.web]) run(`ip netns del ${name}`);
    claims.release(this.#subnet);
  }
}
