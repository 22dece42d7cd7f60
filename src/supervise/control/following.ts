/**
 * Whether this outpost hears what happens to sessions at its server, and what follows when it does not although the
 * server is there (docs/architecture.md, decision 2): then the sessions themselves must be asked about.
 */
import { CodedError } from '../../contract/errors.ts';
import { UnexpectedAnswer } from '../back-channel.ts';

/** How an outpost and its server stand to each other. */
export type Reach =
  /** the control link is up */
  | 'connected'
  /** calls are answered, but there is no control link */
  | 'answers'
  /** the server is there and refuses the token */
  | 'refused'
  /** it does not answer, as far as is known */
  | 'away';

export interface FollowingTimes {
  /** without events the server is tried this often, and so long may they fail to come before sessions are asked about */
  tryMs: number;
  /** while no events come, sessions are asked about this often: 5,000 in use are then some 300 questions a second */
  askMs: number;
}

export const FOLLOWING_TIMES: FollowingTimes = { tryMs: 5000, askMs: 15_000 };

/** Timers may be early by a little. */
const ALMOST = 0.9;

/** Times are epoch ms. */
export class Following {
  readonly #times: FollowingTimes;
  #up = false;
  /** events came on the link there is now */
  #heard = false;
  #notHeardSince: number;
  #called: 'answers' | 'refused' | 'away' = 'away';
  #askedSince: number | undefined;

  constructor(now: number, times: FollowingTimes) {
    this.#notHeardSince = now;
    this.#times = times;
  }

  get up(): boolean {
    return this.#up;
  }

  /** Events come. */
  get heard(): boolean {
    return this.#heard;
  }

  get reach(): Reach {
    return this.#up ? 'connected' : this.#called;
  }

  /** Whether the server can be asked about a session. */
  get askable(): boolean {
    return this.#up || this.#called === 'answers';
  }

  /** Sessions issued before must ask; undefined = events say which. */
  get askedSince(): number | undefined {
    return this.#askedSince;
  }

  /** The control link came up or went; what was missed is told by the first events after it. */
  setUp(up: boolean, now: number): void {
    this.#up = up;
    if (this.#heard) this.#notHeardSince = now;
    this.#heard = false;
    // nobody waits for a server that went with its link: the next call shows whether it is there
    if (!up) this.#called = 'away';
  }

  /** Events came. */
  hear(): void {
    this.#heard = true;
    this.#askedSince = undefined;
  }

  /** Nothing is known of any event: whoever came before must ask. */
  knowsNone(now: number): void {
    this.#askedSince = now;
  }

  /**
   * A call was answered.
   * @returns whether sessions must be asked about anew
   */
  answered(now: number): boolean {
    this.#called = 'answers';
    if (this.#heard || now - this.#notHeardSince < this.#times.tryMs * ALMOST) return false;
    if (now - (this.#askedSince ?? 0) < this.#times.askMs * ALMOST) return false;
    this.#askedSince = now;
    return true;
  }

  /**
   * A call failed.
   * @returns whether sessions must be asked about anew: a server that refuses us is there, and ends sessions
   */
  failed(error: unknown, now: number): boolean {
    this.#called = isRefusal(error) ? 'refused' : 'away';
    if (this.#called === 'away' || this.#heard) return false;
    this.#askedSince = now;
    return true;
  }
}

/** What the server itself says of the token; an answer in its place says that it is away. */
const isRefusal = (error: unknown) =>
  error instanceof UnexpectedAnswer
    ? error.status === 401 || error.status === 403
    : error instanceof CodedError && error.code === 'no-outpost';
