import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { CHANNEL, RUNNER } from './runner.ts';
import { SURFACE } from './surface.ts';
import type { Wall } from './wall.ts';

/** What is used of the interpreter: the published build of CPython for WebAssembly, without its bridge to JavaScript. */
interface Emscripten {
  FS: {
    mkdirTree(path: string): void;
    writeFile(path: string, data: Uint8Array): void;
    streams: unknown[];
  };
  ENV: Record<string, string>;
  API: Record<string, unknown>;
}

/** The memory of an instance; `buffer` is another one after it grew. */
export interface Memory {
  readonly buffer: ArrayBuffer;
}

interface Exports {
  memory: Memory;
  __stack_pointer: { value: number };
  /** address of the switch by which Python asks for signals */
  Py_EMSCRIPTEN_SIGNAL_HANDLING: { value: number };
  malloc(bytes: number): number;
  PyRun_SimpleString(text: number): number;
}

/** The part of the JavaScript API that is used; types of a browser would bring everything else with them. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    compile(code: Uint8Array): Promise<object>;
    instantiate(module: object, imports: Imports): Promise<{ exports: Exports }>;
    Global: new () => { value: unknown };
  };
};

type Imports = Record<string, Record<string, unknown>>;

type Factory = (settings: object) => Promise<Emscripten>;

/** Where the standard library lies inside. */
const LIBRARY = '/lib/python314.zip';
const FOLDERS = ['/lib/python3.14/site-packages', '/lib/python3.14/lib-dynload'];

/** The state every call begins from. The same build of the interpreter goes on from it in another process. */
export interface Image {
  memory: Uint8Array;
  stack: number;
  /** address of the text that is run for a call */
  entry: number;
}

/** A running Python whose every call begins from the same state. */
export interface Interpreter {
  readonly image: Image;
  /** Runs `_run()` of the runner. false: Python could not say what went wrong. */
  run(): boolean;
  /** Puts everything back; to be called after every call. */
  restore(): void;
}

/**
 * Starts Python and arms the wall.
 * @param folder of the package `pyodide`, with a slash at its end
 * @param from what another process began from: then Python need not find its way up again
 */
export async function startInterpreter(folder: string, wall: Wall, from?: Image): Promise<Interpreter> {
  const compiling = WebAssembly.compile(readFileSync(`${folder}pyodide.asm.wasm`));
  const library = readFileSync(`${folder}python_stdlib.zip`);
  const { default: factory } = (await import(pathToFileURL(`${folder}pyodide.asm.mjs`).href)) as { default: Factory };
  const compiled = await compiling;
  const started = Promise.withResolvers<Exports>();
  let environment: Record<string, unknown> = {};
  const python = await factory({
    API: { config: { jsglobals: {}, env: {}, args: [], indexURL: folder }, runtimeEnv: { IN_NODE: true } },
    thisProgram: 'python',
    arguments: [],
    noInitialRun: from !== undefined,
    noImageDecoding: true,
    noAudioDecoding: true,
    noWasmDecoding: true,
    preRun: [
      ({ FS, ENV }: Emscripten) => {
        for (const path of FOLDERS) FS.mkdirTree(path);
        FS.writeFile(LIBRARY, library);
        // without PYTHONINSPECT the interpreter would end after its empty program
        Object.assign(ENV, { HOME: '/', PYTHONINSPECT: '1', NO_COLOR: '1' });
      },
    ],
    instantiateWasm: (imports: Imports, done: (instance: object, compiled: object) => void) => {
      environment = imports['env'] ?? {};
      const marker = Symbol('error');
      environment['Jsv_GetError_import'] = () => marker;
      environment['JsvError_Check'] = (value: unknown) => (value === marker ? 1 : 0);
      wall.guard(environment);
      void (async () => {
        // when it fails, the process ends with what is thrown
        const instance = await WebAssembly.instantiate(compiled, imports);
        started.resolve(instance.exports);
        done(instance, compiled);
      })();
      return {};
    },
  });
  const exports = await started.promise;

  const bytes = () => new Uint8Array(exports.memory.buffer);
  const image = from ?? firstImage(exports);
  // the first time it loads a module of Node's, which cannot be done later; an image begins after that time
  if (from !== undefined) (environment['random_get'] as (at: number, bytes: number) => number)(image.entry, 1);
  // by number, with a hole where one was closed: a call that opens a file gets that number
  const { streams } = python.FS;
  const files = [...streams];
  wall.arm(exports.memory);
  const globals = variables(exports);
  const restore = () => {
    for (const { variable, value } of globals) variable.value = value;
    streams.splice(0, streams.length, ...files);
    const now = bytes();
    now.set(image.memory);
    now.fill(0, image.memory.length); // what a call added: memory does not shrink
    exports.__stack_pointer.value = image.stack;
  };
  if (from !== undefined) restore();
  return { image, run: () => exports.PyRun_SimpleString(image.entry) === 0, restore };
}

/** The global variables of the instance, with what they hold: the part of its state that is not in memory. */
function variables(exports: Exports): { variable: { value: unknown }; value: unknown }[] {
  return Object.values(exports).flatMap((variable: unknown) => {
    if (!(variable instanceof WebAssembly.Global)) return [];
    const { value } = variable;
    try {
      variable.value = value;
    } catch {
      return []; // a constant
    }
    return [{ variable, value }];
  });
}

/** Loads our Python into an interpreter that has just come up. */
function firstImage(exports: Exports): Image {
  const bytes = () => new Uint8Array(exports.memory.buffer);
  /** zero-terminated text inside; its place is kept, and part of the image */
  const place = (text: string) => {
    const encoded = Buffer.from(`${text}\0`);
    const at = exports.malloc(encoded.length);
    bytes().set(encoded, at);
    return at;
  };
  const prelude = `import sys\nsys.path[:] = [${JSON.stringify(LIBRARY)}]\n_CHANNEL = ${String(CHANNEL)}\n`;
  if (exports.PyRun_SimpleString(place(prelude + SURFACE + RUNNER)) !== 0) throw new Error('Python refused its runner');
  const entry = place('_run()');
  bytes()[exports.Py_EMSCRIPTEN_SIGNAL_HANDLING.value] = 1;
  return { memory: bytes().slice(), stack: exports.__stack_pointer.value, entry };
}
