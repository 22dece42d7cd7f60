import { z } from 'zod';
import type { ExpressionCall, ExpressionErrorKind } from './types.ts';

/** What the server and Python's process say to each other. What comes from there is checked: it may be anything. */

/** Before anything else. With `image` the bytes of one follow, deflated. */
export interface Start {
  kind: 'start';
  image?: { stack: number; entry: number };
}

/** Begins a call. `milliseconds`: until it is interrupted. */
export type ToPython =
  | ({ kind: 'evaluate'; id: number; milliseconds: number } & Pick<ExpressionCall, 'name' | 'expression' | 'context'>)
  | { kind: 'check'; id: number; milliseconds: number; expression: string }
  /** asks for the image: the next processes start from it */
  | { kind: 'image' }
  /** `facts`: what was asked for, null when there is nothing */
  | { kind: 'answer'; id: number; facts: object | null };

const id = z.number().int().nonnegative();
const text = z.string().max(16_384);
const line = z.number().int().positive();
const kind = z.enum(['raised', 'time', 'memory', 'output', 'result', 'refused']);

const logLine = z.strictObject({
  level: z.enum(['debug', 'info', 'warning', 'error']),
  event: text,
  fields: z.record(z.string().max(256), text),
});

const outcome = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('done'), value: z.json() }),
  z.strictObject({ kind: z.literal('failed'), error: z.strictObject({ kind, message: text, line: line.optional() }) }),
  z.strictObject({
    kind: z.literal('checked'),
    problem: z.strictObject({ line, column: line, message: text }).nullable(),
  }),
]);

export const fromPython = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('ready'), milliseconds: z.number() }),
  /** its bytes follow, deflated */
  z.strictObject({ kind: z.literal('image'), stack: z.number().int(), entry: z.number().int() }),
  z.strictObject({
    kind: z.literal('ask'),
    id,
    question: z.strictObject({ kind: z.literal('user_by'), filters: z.record(z.string(), z.json()) }),
  }),
  z.strictObject({
    kind: z.literal('finished'),
    id,
    outcome,
    log: z.array(logLine).max(1000),
    messages: z.array(text).max(1000),
    milliseconds: z.number(),
  }),
  /** the process ends itself */
  z.strictObject({ kind: z.literal('ending'), id, why: z.enum(['denied', 'exit', 'time']), what: text.optional() }),
]);

export type FromPython = z.infer<typeof fromPython>;
export type Outcome = z.infer<typeof outcome>;

/** What became of a call, with or without Python's word for it. */
export type Ending =
  | Pick<Extract<FromPython, { kind: 'finished' }>, 'outcome' | 'log' | 'messages' | 'milliseconds'>
  | { kind: ExpressionErrorKind; message: string; milliseconds: number; endedPython?: true };
