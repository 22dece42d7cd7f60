import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { CodedError } from '../../contract/errors.ts';
import type { Ending, Outcome, ToPython } from './messages.ts';
import { PythonRunner } from './python-runner.ts';
import type { ExpressionCall, ExpressionErrorKind, ExpressionResult, Expressions, LogLine } from './types.ts';

export interface ExpressionsOptions {
  log: Logger;
  /** how long one may run, ms */
  milliseconds?: number;
  /** how long one may wait for its turn, the start of Python included, ms */
  waiting?: number;
  /** without use for so long, Python ends, ms */
  idle?: number;
}

/** An expression takes about 10 ms on a slow machine; nobody waits longer than this for a claim. */
const MILLISECONDS = 2000;
const WAITING = 30_000;
const IDLE = 10 * 60_000;
const CONTEXT_BYTES = 1024 * 1024;
const EXPRESSION_BYTES = 64 * 1024;

/** So often in a row out of time, or Python ended under it, and it is not run for a while: others wait behind it. */
const PATIENCE = 3;
const PAUSE = 30_000;

export function openExpressions(options: ExpressionsOptions): Expressions {
  const milliseconds = options.milliseconds ?? MILLISECONDS;
  const runner = new PythonRunner({
    log: options.log,
    waiting: options.waiting ?? WAITING,
    idle: options.idle ?? IDLE,
  });
  /** by hash of the expression: how often in a row others had to wait for it in vain, and when last */
  const costly = new LRUCache<string, { times: number; at: number; kind: ExpressionErrorKind }>({ max: 1000 });

  async function evaluate(call: ExpressionCall): Promise<ExpressionResult> {
    const { name, expression, context } = call;
    if (JSON.stringify(context).length > CONTEXT_BYTES) return failure('memory', 'the facts it is given are too large');
    const key = createHash('sha256').update(expression).digest('base64');
    const before = costly.get(key);
    if (before !== undefined && before.times >= PATIENCE && Date.now() - before.at < PAUSE) {
      return failure(before.kind, 'it cost more than expressions may, several times; it is not run for a while');
    }
    const message: ToPython = { kind: 'evaluate', id: 0, milliseconds, name, expression, context };
    const ending = await runner.run(message, call.ask);
    const result = read(ending);
    const kind = result.ok ? undefined : result.error.kind;
    if (kind === 'time' || ('endedPython' in ending && ending.endedPython)) {
      costly.set(key, { times: (before?.times ?? 0) + 1, at: Date.now(), kind: kind ?? 'raised' });
    } else if (before !== undefined && kind !== 'unavailable') costly.delete(key);
    return result;
  }

  return {
    evaluate: async (call) => {
      if (Buffer.byteLength(call.expression) > EXPRESSION_BYTES) return failure('refused', TOO_LONG);
      return await evaluate(call);
    },
    check: async (expression) => {
      if (Buffer.byteLength(expression) > EXPRESSION_BYTES) return { line: 1, column: 1, message: TOO_LONG };
      const ending = await runner.run({ kind: 'check', id: 0, milliseconds, expression });
      if ('outcome' in ending && ending.outcome.kind === 'checked') return ending.outcome.problem ?? undefined;
      const { error } = read(ending) as { error?: { kind: ExpressionErrorKind; message: string } };
      if (error === undefined || error.kind === 'unavailable') {
        throw new CodedError(
          'expressions-unavailable',
          503,
          'Expressions cannot be checked now: Python did not start. Try again; the log says more.',
          error?.message,
        );
      }
      return { line: 1, column: 1, message: `It could not be compiled: ${error.message}.` };
    },
    warm: () => runner.warm(),
    get pid() {
      return runner.pid;
    },
    close: () => runner.close(),
  };
}

const TOO_LONG = `An expression may have ${String(EXPRESSION_BYTES / 1024)} KiB.`;

function failure(kind: ExpressionErrorKind, message: string, milliseconds = 0): ExpressionResult {
  return { ok: false, error: { kind, message }, log: [], messages: [], milliseconds };
}

function read(ending: Ending): ExpressionResult {
  if (!('outcome' in ending)) return failure(ending.kind, ending.message, ending.milliseconds);
  const { outcome, messages, milliseconds } = ending;
  const log: LogLine[] = ending.log;
  const ran = { log, messages, milliseconds };
  if (outcome.kind === 'done') return { ok: true, value: outcome.value, ...ran };
  return { ok: false, error: told(outcome), ...ran };
}

function told(outcome: Exclude<Outcome, { kind: 'done' }>): Extract<ExpressionResult, { ok: false }>['error'] {
  // only an expression that writes as our own Python does can answer a question that was not asked
  if (outcome.kind === 'checked') return { kind: 'result', message: 'it answered what nobody asked' };
  const { kind, message, line } = outcome.error;
  return line === undefined ? { kind, message } : { kind, message, line };
}
