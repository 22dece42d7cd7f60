/**
 * Python's process: takes one call after the other from the pipe the server holds, and answers it there. It has no event
 * loop to speak of: it waits, computes, writes. It ends when the pipe does.
 */
import { registerHooks } from 'node:module';
import { deflateSync, inflateSync } from 'node:zlib';
import { BlockingPipe } from './frames.ts';
import { startInterpreter } from './interpreter.ts';
import type { Start, ToPython } from './messages.ts';
import { Wall } from './wall.ts';
import type { EndReason } from './wall.ts';

/** Number of the pipe: 0 to 2 are nothing and the log. */
const PIPE = 3;

/** Most memory Python has in all, of which it uses 30 MiB itself. */
const MEMORY = 128 * 1024 * 1024;
/** Most it writes in a call: result, log, questions. */
const OUTPUT = 256 * 1024;
const LOG_LINES = 200;
const LEVELS = ['debug', 'info', 'warning', 'error'];
const LINE_LENGTH = 2000;

/** Ways out that JavaScript has here. No expression gets to JavaScript; should one, they are not there. */
const DROPPED = words(`fetch WebSocket EventSource process require Worker BroadcastChannel MessageChannel navigator
  localStorage sessionStorage Storage structuredClone setTimeout setInterval setImmediate queueMicrotask`);

function words(text: string): string[] {
  return text.split(/\s+/);
}

const pipe = new BlockingPipe(PIPE);
const { process } = globalThis; // taken away below
const exit = (code: number): never => process.exit(code);
const [, , folder = ''] = process.argv;

/** The call that runs. */
let id = 0;
let log: object[] = [];
let messages: string[] = [];
let outcome: object | undefined;

function end(reason: EndReason): never {
  try {
    pipe.write({ kind: 'ending', id, ...reason });
  } catch {
    // nobody listens
  }
  return exit(1);
}

function note(line: { level: string; event: string; fields: object }): void {
  if (log.length < LOG_LINES) log.push(line);
  else wall.flooded = true;
}

const cut = (text: unknown) => String(text).slice(0, LINE_LENGTH);

/** A message of Python's, or of an expression that writes as Python does: anything. The server checks what goes on. */
function onMessage(body: Uint8Array): void {
  let said: Record<string, unknown>;
  try {
    said = Object(JSON.parse(Buffer.from(body).toString('utf8'))) as Record<string, unknown>;
  } catch {
    return;
  }
  if (said['kind'] === 'ask') {
    const asked = performance.now();
    pipe.write({ kind: 'ask', id, question: said['question'] });
    const answer = next<ToPython>();
    const facts = answer.kind === 'answer' && answer.id === id ? answer.facts : null;
    wall.give(new Uint8Array(Buffer.from(JSON.stringify(facts))), asked);
  } else if (said['kind'] === 'log') {
    const fields = Object.entries(Object(said['fields']) as object);
    note({
      level: LEVELS.includes(cut(said['level'])) ? cut(said['level']) : 'info',
      event: cut(said['event']),
      fields: Object.fromEntries(fields.slice(0, 50).map(([name, value]) => [name.slice(0, 200), cut(value)])),
    });
  } else if (said['kind'] === 'message') {
    if (messages.length < LOG_LINES) messages.push(cut(said['text']));
    else wall.flooded = true;
  } else {
    outcome = said;
  }
}

const wall: Wall = new Wall({
  memory: MEMORY,
  output: OUTPUT,
  onMessage,
  onText: (text) => {
    for (const line of text.trimEnd().split('\n')) note({ level: 'info', event: cut(line), fields: {} });
  },
  end,
});

function nextBody(): Buffer {
  return pipe.read() ?? exit(0);
}

function next<T>(): T {
  return JSON.parse(nextBody().toString('utf8')) as T;
}

// asked for while the interpreter starts, for constants of a file system it does not use; forbidden under --permission
Reflect.set(process, 'binding', () => ({ fs: {} }));
const began = performance.now();
const { image } = next<Start>();
const python = await startInterpreter(folder, wall, image && { ...image, memory: inflateSync(nextBody()) });
registerHooks({
  resolve: () => {
    throw new Error('nothing more is loaded here');
  },
});
for (const name of DROPPED) Reflect.deleteProperty(globalThis, name);
pipe.write({ kind: 'ready', milliseconds: performance.now() - began });

function failed(kind: string, message: string): object {
  return { kind: 'failed', error: { kind, message } };
}

for (;;) {
  const call = next<ToPython>();
  if (call.kind === 'answer') end({ why: 'exit' });
  if (call.kind === 'image') {
    const { memory, stack, entry } = python.image;
    pipe.write({ kind: 'image', stack, entry });
    pipe.write(deflateSync(memory, { level: 1 }));
    continue;
  }
  id = call.id;
  log = [];
  messages = [];
  outcome = undefined;
  const start = performance.now();
  wall.begin(new Uint8Array(Buffer.from(JSON.stringify(call))), call.milliseconds);
  let whole = false;
  try {
    python.run();
    whole = true;
  } catch {
    outcome = undefined; // the interpreter itself broke off: its stack ran out
  }
  if (wall.flooded) outcome = failed('output', 'it wrote more than is taken');
  else if (outcome === undefined && wall.memoryRefused)
    outcome = failed('memory', 'it needs more memory than expressions may use');
  else if (outcome === undefined && wall.interrupted)
    outcome = failed('time', 'it took longer than expressions may take');
  outcome ??= failed('raised', 'Python broke off, probably it called itself too deeply');
  const ran = { log, messages, milliseconds: performance.now() - start };
  try {
    pipe.write({ kind: 'finished', id, outcome, ...ran });
  } catch {
    // what was written past our own Python may be nested deeper than JSON can be made of
    pipe.write({ kind: 'finished', id, outcome: failed('result', 'it is nested too deeply'), ...ran });
  }
  if (!whole) exit(1);
  python.restore();
}
