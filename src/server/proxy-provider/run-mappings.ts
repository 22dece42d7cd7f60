/** Runs the scope mappings that administrators wrote, for one person at one provider (spec/server.md 4.3). */
import { CodedError } from '../../contract/errors.ts';
import type { ServerContext } from '../context.ts';
import type { Attributes } from '../directory/attributes.ts';
import type { ExpressionContext, ExpressionResult, LogLine } from '../expressions/types.ts';
import type { ApplicationRow, ProviderRow, ScopeMappingRow, UserRow } from '../storage/rows.ts';
import { contextOf, findUser, objFacts } from './expression-facts.ts';
import type { Asker } from './expression-facts.ts';
import { noteRun } from './incomplete.ts';
import type { Incomplete } from './incomplete.ts';
import { reportProblem, withoutValues } from './mapping-problems.ts';
import { Turns } from './turns.ts';

export interface MappingRun {
  provider: ProviderRow;
  application: ApplicationRow;
  user: UserRow;
  scopes: readonly string[];
  asker: (() => Promise<Asker>) | undefined;
  purpose?: Purpose | undefined;
}

/**
 * What claims are for. `login`: somebody has just signed in, and is better off without these claims than outside.
 * `refresh`: an outpost asks what holds now; it waits in a line of its own, so that nobody can keep rights that were
 * taken away by having many calls wait. Absent: any other call of a person, who is told when there are too many.
 */
export type Purpose = 'login' | 'refresh';

/** JSON bytes that all mappings together may add: tokens travel in headers. */
const MAX_RESULTS = 32_768;
/**
 * Evaluations of one person that wait for each other. Everybody shares one Python: whoever repeats a call in a loop must
 * not take it from others, whose claims would be missing then. Refreshes are counted apart.
 */
const MAX_WAITING = 20;
/** Outposts wait 10 s for a token; a login without these claims is better than none. */
const PATIENCE_MS = 8000;

const turns = new WeakMap<ServerContext, Turns<string>>();

export interface MappingResults {
  /** by uuid */
  given: Map<string, Attributes>;
  incomplete: Incomplete;
}

/**
 * Evaluates each mapping once. What fails is told and left out.
 * @param mappings in the order their results are merged
 * @throws CodedError `too-many-calls`, 429, when too many calls for the person wait; not for a login
 */
export async function runMappings(
  ctx: ServerContext,
  run: MappingRun,
  mappings: readonly ScopeMappingRow[],
): Promise<MappingResults> {
  const given = new Map<string, Attributes>();
  if (mappings.length === 0) return { given, incomplete: false }; // nothing is asked of Python, which may not even have been started
  const queue = turns.get(ctx) ?? new Turns<string>(MAX_WAITING);
  turns.set(ctx, queue);
  const context = await contextOf(ctx.db, { ...run, asker: await run.asker?.() });
  let turn: 'waits' | 'came' | 'given-up' = 'waits';
  const work = queue.take(`${run.purpose === 'refresh' ? 'refresh' : 'own'} ${run.user.id}`, () => {
    if (turn === 'given-up') return Promise.resolve([]);
    turn = 'came';
    return Promise.all(mappings.map((mapping) => evaluate(ctx, context, mapping)));
  });
  const results = await soon(work);
  // the person's own calls were before it: that says nothing about Python
  const crowded = turn === 'waits';
  if (crowded) turn = 'given-up';
  if (crowded && run.purpose !== 'login') throw new CodedError('too-many-calls', 429, TOO_MANY);
  let left = MAX_RESULTS;
  let incomplete: Incomplete = crowded ? 'crowded' : false;
  for (const [i, mapping] of mappings.entries()) {
    const result = crowded
      ? unavailable(TOO_MANY)
      : ((results === 'late' ? undefined : results?.[i]) ?? unavailable('Python took too long to come to it.'));
    writeLog(ctx, mapping, run, result.log, context);
    if (!result.ok) {
      const { kind, message, line } = result.error;
      if (kind === 'unavailable') incomplete ||= 'unavailable';
      await reportProblem(ctx, run, { mapping, kind, line, message: withoutValues(message, context) });
      continue;
    }
    const { value } = result;
    if (value === null) continue;
    const size = Buffer.byteLength(JSON.stringify(value));
    if (typeof value !== 'object' || Array.isArray(value)) {
      const message = `It must return a dict or None, and returned ${Array.isArray(value) ? 'a list' : `a ${typeof value}`}.`;
      await reportProblem(ctx, run, { mapping, kind: 'type', message, warning: true });
    } else if (size > left) {
      const message = `What it returned has ${size} bytes; all mappings of a provider together may return ${MAX_RESULTS}.`;
      await reportProblem(ctx, run, { mapping, kind: 'size', message });
    } else {
      left -= size;
      given.set(mapping.uuid, value as Attributes);
    }
  }
  noteRun(ctx, run.user, incomplete);
  return { given, incomplete };
}

/** One mapping, once. `ask` looks for other people while it runs. */
export function evaluate(
  ctx: ServerContext,
  context: ExpressionContext,
  mapping: ScopeMappingRow,
): Promise<ExpressionResult> {
  return ctx.expressions.evaluate({
    name: mapping.name,
    expression: mapping.expression,
    context: { ...context, obj: objFacts(mapping) },
    ask: (question) => findUser(ctx.db, question),
  });
}

/** @returns what the work gives, or `late`; it goes on then, and keeps its turn until it is done */
async function soon<T>(work: Promise<T>): Promise<T | 'late'> {
  const { promise, resolve } = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => resolve('late'), PATIENCE_MS);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

const TOO_MANY = 'Too many calls for this person are waiting. Try again in a few seconds.';

const unavailable = (message: string): ExpressionResult => ({
  ok: false,
  error: { kind: 'unavailable', message },
  log: [],
  messages: [],
  milliseconds: 0,
});

const LEVELS = { debug: 'debug', info: 'info', warning: 'warn', error: 'error' } as const;

function writeLog(
  ctx: ServerContext,
  mapping: ScopeMappingRow,
  { user, provider }: MappingRun,
  lines: readonly LogLine[],
  context: ExpressionContext,
): void {
  for (const { level, event, fields } of lines) {
    const said = Object.entries(fields).map(([name, text]) => [name, withoutValues(text, context)]);
    ctx.log[LEVELS[level]](
      { mapping: mapping.name, provider: provider.name, user: user.username, fields: Object.fromEntries(said) },
      withoutValues(event, context),
    );
  }
}
