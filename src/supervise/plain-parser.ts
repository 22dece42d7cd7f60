import { setFlagsFromString } from 'node:v8';

/** More than a supervisor's answers ever spend; V8 counts in 32 bits. */
const NEVER = 2_000_000_000;

/**
 * undici reads answers with WebAssembly. After some 10 KB V8 optimises that, which takes half a second of a core while
 * workers start, and leaves 10 MB with the allocator. For a process that reads few answers: to be said before the first.
 */
export function keepParserPlain(): void {
  setFlagsFromString(`--wasm-tiering-budget=${NEVER}`);
}
