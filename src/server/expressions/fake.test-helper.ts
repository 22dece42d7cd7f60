/** In place of Python, where a test is about what is done with it: expressions are names of functions the test brings. */
import type { ExpressionCall, ExpressionProblem, ExpressionResult, Expressions, Json } from './types.ts';

type Written = (call: ExpressionCall) => Promise<Json> | Json;

export interface FakeExpressions extends Expressions {
  calls: ExpressionCall[];
  closed: boolean;
}

/** Thrown by a function: the expression raised this. */
export class Raised extends Error {}

/** Thrown by a function: Python did not come to it. */
export class Unavailable extends Error {}

/** @param written functions by text; a text that is none of them cannot be saved */
export function fakeExpressions(written: Readonly<Record<string, Written>>): FakeExpressions {
  const nothing = { log: [], messages: [], milliseconds: 1 };
  const fake: FakeExpressions = {
    calls: [],
    closed: false,
    pid: undefined,
    warm: () => undefined,
    check: async (expression): Promise<ExpressionProblem | undefined> =>
      Object.hasOwn(written, expression) ? undefined : { line: 2, column: 7, message: 'invalid syntax' },
    evaluate: async (call): Promise<ExpressionResult> => {
      fake.calls.push(call);
      try {
        return { ok: true, value: (await written[call.expression]?.(call)) ?? null, ...nothing };
      } catch (error) {
        if (error instanceof Unavailable) {
          return { ok: false, error: { kind: 'unavailable', message: error.message }, ...nothing };
        }
        if (!(error instanceof Raised)) throw error;
        return { ok: false, error: { kind: 'raised', message: error.message, line: 3 }, ...nothing };
      }
    },
    close: async () => {
      fake.closed = true;
    },
  };
  return fake;
}
