import type { Logger } from 'pino';
import type { Ending, FromPython, ToPython } from './messages.ts';
import { startPython } from './python-process.ts';
import type { PackedImage, PythonProcess } from './python-process.ts';
import type { ExpressionCall } from './types.ts';

interface RunnerOptions {
  log: Logger;
  waiting: number;
  idle: number;
}

type Call = Exclude<ToPython, { kind: 'answer' } | { kind: 'image' }>;

interface Job {
  call: Call;
  ask: ExpressionCall['ask'];
  resolve: (ending: Ending) => void;
  /** ends its waiting */
  patience?: NodeJS.Timeout;
  /** it was at work when a process ended that nobody ended */
  lost: boolean;
}

/** The one that is at work. */
interface Running extends Job {
  id: number;
  began: number;
  questions: number;
  /** kills what does not stop by itself */
  alarm: NodeJS.Timeout | undefined;
  /** why the process was ended, as far as known */
  ended?: { kind: 'time' | 'raised'; message: string };
}

const QUEUE = 500;
const START = 60_000;
const QUESTIONS = 50;
const QUESTION = 5000;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;
/** On top of what Python takes to stop by itself. */
const GRACE = 1000;
const DID_NOT_STOP = 'it took longer than expressions may take, and did not stop';

/** One Python, one call at a time, the others in line; a process that ends is replaced, and no one in line is lost. */
export class PythonRunner {
  readonly #options: RunnerOptions;
  readonly #line: Job[] = [];
  #running: Running | undefined;
  #process: PythonProcess | undefined;
  #ready = false;
  #starting = false;
  #spawning = false;
  #pause = 0;
  #serial = 0;
  /** of the first process; the next ones are up in a fraction of the time */
  #image: PackedImage | undefined;
  /** it was asked for one: nothing else is sent until it came */
  #imaging: { stack: number; entry: number } | 'asked' | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #gone: (() => void) | undefined;

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** @returns what became of it; never rejects */
  run(call: Call, ask?: ExpressionCall['ask']): Promise<Ending> {
    return new Promise((resolve) => {
      if (this.#closed) return resolve(unavailable('the server is stopping'));
      if (this.#line.length >= QUEUE) return resolve(unavailable('too many expressions wait for their turn'));
      this.#queue({ call, ask, resolve, lost: false }, 'last');
      this.#pump();
    });
  }

  /** Starts Python before somebody waits for it. */
  warm(): void {
    if (!this.#ready) this.#start();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const job of this.#line.splice(0)) {
      clearTimeout(job.patience);
      job.resolve(unavailable('the server is stopping'));
    }
    const running = this.#process;
    if (running === undefined && !this.#spawning) return;
    const gone = new Promise<void>((resolve) => (this.#gone = resolve));
    running?.kill();
    await gone;
  }

  #queue(job: Job, place: 'first' | 'last'): void {
    job.patience = setTimeout(() => {
      this.#line.splice(this.#line.indexOf(job), 1);
      job.resolve(unavailable('it waited too long for its turn'));
    }, this.#options.waiting);
    if (place === 'first') this.#line.unshift(job);
    else this.#line.push(job);
  }

  #pump(): void {
    if (this.#running !== undefined || this.#imaging !== undefined) return;
    if (this.#line.length === 0) return this.#askForImage();
    if (!this.#ready) return this.#start();
    const job = this.#line.shift();
    if (job === undefined) return;
    clearTimeout(job.patience);
    clearTimeout(this.#timer);
    const id = ++this.#serial;
    const running: Running = { ...job, id, began: performance.now(), questions: 0, alarm: undefined };
    this.#running = running;
    this.#process?.send({ ...job.call, id });
    this.#watch(running);
  }

  /** When nobody waits: it takes Python a fraction of a second. */
  #askForImage(): void {
    if (this.#image !== undefined || !this.#ready || this.#closed) return;
    this.#imaging = 'asked';
    this.#process?.send({ kind: 'image' });
  }

  /** Kills the process when the call is not over in time; what was said by then is read first. */
  #watch(running: Running): void {
    running.alarm = setTimeout(
      () =>
        setImmediate(() => {
          if (this.#running !== running) return;
          this.#endRunning({ kind: 'time', message: DID_NOT_STOP });
        }),
      running.call.milliseconds * 1.2 + GRACE,
    );
  }

  #start(): void {
    if (this.#starting || this.#process !== undefined || this.#closed) return;
    this.#starting = true;
    this.#timer = setTimeout(() => {
      this.#spawning = true;
      this.#timer = setTimeout(() => this.#process?.kill(), START);
      const events = {
        onMessage: (message: FromPython | Buffer) => this.#onMessage(message),
        onNonsense: () => this.#endRunning({ kind: 'raised', message: 'it wrote what only Python writes' }),
        onExit: (complaint: string) => this.#onExit(complaint),
      };
      startPython(events, this.#image).then(
        (started) => {
          this.#process = started;
          this.#starting = false;
          this.#spawning = false;
          if (this.#closed) started.kill();
        },
        (error: unknown) => {
          this.#starting = false;
          this.#spawning = false;
          this.#onExit(String(error));
        },
      );
    }, this.#pause);
    this.#pause = Math.min(Math.max(this.#pause * 2, FIRST_PAUSE), LONGEST_PAUSE);
  }

  #endRunning(why: NonNullable<Running['ended']>): void {
    if (this.#running !== undefined) this.#running.ended = why;
    this.#process?.kill();
  }

  #onMessage(message: FromPython | Buffer): void {
    if (Buffer.isBuffer(message) || message.kind === 'image') {
      if (!Buffer.isBuffer(message)) {
        if (this.#imaging === 'asked') this.#imaging = { stack: message.stack, entry: message.entry };
        return;
      }
      if (typeof this.#imaging === 'object') this.#image = { ...this.#imaging, bytes: message };
      this.#imaging = undefined;
      return this.#pump();
    }
    if (message.kind === 'ready') {
      clearTimeout(this.#timer);
      this.#ready = true;
      this.#pause = 0;
      const withoutNetwork = this.#process?.withoutNetwork;
      const milliseconds = Math.round(message.milliseconds);
      this.#options.log.info({ milliseconds, withoutNetwork }, 'Python for expressions is up');
      return this.#pump();
    }
    const running = this.#running;
    // ids are counted: what does not belong to the call at work is from a process that is no longer ours to trust
    if (running === undefined || message.id !== running.id) return this.#process?.kill();
    if (message.kind === 'ask') return void this.#answer(running, message.question);
    if (message.kind === 'ending') {
      running.ended =
        message.why === 'time'
          ? { kind: 'time', message: DID_NOT_STOP }
          : { kind: 'raised', message: message.why === 'exit' ? 'it ended Python' : 'it tried to leave Python' };
      if (message.why === 'denied') {
        const mapping = running.call.kind === 'evaluate' ? running.call.name : '';
        this.#options.log.warn({ mapping, call: message.what }, 'an expression tried to leave Python; it was ended');
      }
      return;
    }
    this.#finish(message);
    this.#timer = setTimeout(() => this.#process?.kill(), this.#options.idle);
    this.#timer.unref();
    this.#pump();
  }

  async #answer(running: Running, question: Parameters<NonNullable<ExpressionCall['ask']>>[0]): Promise<void> {
    clearTimeout(running.alarm);
    running.questions += 1;
    let facts: object | undefined;
    if (running.questions <= QUESTIONS && running.ask !== undefined) {
      const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), QUESTION).unref());
      facts = await Promise.race([running.ask(question), late]).catch((error: unknown) => {
        this.#options.log.warn({ err: error }, 'a question of an expression could not be answered');
        return undefined;
      });
    }
    if (this.#running !== running) return;
    this.#process?.send({ kind: 'answer', id: running.id, facts: facts ?? null });
    this.#watch(running);
  }

  #finish(ending: Ending): void {
    const running = this.#running;
    this.#running = undefined;
    clearTimeout(running?.alarm);
    running?.resolve(ending);
  }

  #onExit(complaint: string): void {
    const running = this.#running;
    const expected = !this.#ready ? false : running === undefined || running.ended !== undefined;
    clearTimeout(this.#timer);
    this.#process = undefined;
    this.#ready = false;
    this.#imaging = undefined;
    this.#gone?.();
    if (!expected && !this.#closed) this.#options.log.error({ complaint }, 'Python for expressions ended unasked');
    if (running !== undefined) {
      const milliseconds = performance.now() - running.began;
      if (running.ended !== undefined) this.#finish({ ...running.ended, milliseconds, endedPython: true });
      else if (running.lost || this.#closed) {
        this.#finish({ ...unavailable('Python was ended under it', milliseconds), endedPython: true });
      } else {
        // ended from outside: once more, before the others
        this.#running = undefined;
        clearTimeout(running.alarm);
        this.#queue({ ...running, lost: true }, 'first');
      }
    }
    if (running === undefined) this.#pump();
    else this.#start(); // it is in use
  }
}

function unavailable(message: string, milliseconds = 0): Ending {
  return { kind: 'unavailable', message, milliseconds };
}
