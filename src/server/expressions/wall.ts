import type { Memory } from './interpreter.ts';
import { CHANNEL } from './runner.ts';

/**
 * The wall between an expression and everything else. WebAssembly can do nothing but compute in its own memory and call
 * the functions it was given. Once Python is up, each of them is one that only reads what the interpreter brought along,
 * one that is answered here, one that is refused with an error number, or one that ends the process. What is not named
 * is of the last kind: the whole bridge to JavaScript is (docs/architecture.md, decision 37).
 */

/** Error numbers as WASI has them. */
const EACCES = 2;
const EBADF = 8;
const EIO = 29;
const ENOSPC = 51;
const ENOTTY = 59;
const EAI_FAIL = -4;

const words = (text: string) => text.trim().split(/\s+/);

/** Clocks, calendars, random bytes, and reading of files: there are no files but the interpreter's own. */
const PASSED = words(`
  clock_time_get clock_res_get emscripten_date_now emscripten_get_now _localtime_js _gmtime_js _mktime_js _timegm_js
  _tzset_js random_get environ_get environ_sizes_get emscripten_get_heap_max _emscripten_get_progname
  emscripten_runtime_keepalive_push emscripten_runtime_keepalive_pop _Py_emscripten_runtime _PyEM_TrampolineCall_JS
  __call_sighandler __syscall_getcwd __syscall_stat64 __syscall_lstat64 __syscall_fstat64 __syscall_newfstatat
  __syscall_faccessat __syscall_readlinkat __syscall_getdents64 fd_seek fd_pread fd_fdstat_get`);

/** Answered "permission denied", as a system would: what changes files, and sockets. */
const REFUSED = words(`
  __syscall_chdir __syscall_fchdir __syscall_chmod __syscall_fchmod __syscall_fchmodat2 __syscall_fchownat
  __syscall_fchown32 __syscall_dup __syscall_dup3 __syscall_fdatasync __syscall_ftruncate64 __syscall_truncate64
  __syscall_mkdirat __syscall_mknodat __syscall_pipe __syscall_poll __syscall_fadvise64 __syscall_fallocate
  __syscall_unlinkat __syscall_rmdir __syscall_renameat __syscall_statfs64 __syscall_fstatfs64 __syscall_symlinkat
  __syscall_utimensat __syscall_socket __syscall_connect __syscall_bind __syscall_listen __syscall_accept4
  __syscall_getpeername __syscall_getsockname __syscall_getsockopt __syscall_recvfrom __syscall_recvmsg
  __syscall_sendmsg __syscall_sendto _mmap_js _munmap_js _msync_js`);

/** Answered with a constant. */
const CONSTANTS: Readonly<Record<string, number>> = {
  __syscall_getuid32_js: 0,
  __syscall_umask_js: 0,
  __syscall_ioctl: -ENOTTY,
  _emscripten_system: -EACCES,
  can_run_sync_js: 0,
  getaddrinfo: EAI_FAIL,
  getnameinfo: EAI_FAIL,
  getprotobyname: 0,
  emscripten_log_impl_js: 0,
  _emscripten_log_formatted: 0,
  _setitimer_js: -1,
  fd_sync: EACCES,
  fd_pwrite: EACCES,
};

/**
 * What expressions may read: the standard library. Devices and everything else cannot be opened. ASCII only, since the
 * interpreter reads longer spellings of a character too, which mean the same to it and nothing here.
 */
const READABLE = /^\/lib\/(?!.*\.\.)[ -~]*$/;
/** Bytes of the longest path, the zero at its end included (PATH_MAX). */
const PATH_BYTES = 4096;
const O_ACCMODE = 3;
const O_CREAT_TRUNC = 0o1000 | 0o100;

/** SIGINT: Python raises KeyboardInterrupt. */
const INTERRUPT = 2;

/** Why the process has to end. */
export type EndReason = { why: 'denied'; what: string } | { why: 'exit' } | { why: 'time' };

export interface WallOptions {
  /** most memory Python may have in all, bytes */
  memory: number;
  /** output in bytes, beyond which writing fails */
  output: number;
  /** takes a message of Python's; may leave something to read with `give` */
  onMessage: (body: Uint8Array) => void;
  /** takes what was written without our helpers */
  onText: (text: string) => void;
  /** ends the process, does not return */
  end: (reason: EndReason) => never;
}

type Import = (...args: number[]) => unknown;

export class Wall {
  readonly #options: WallOptions;
  #memory: Memory | undefined;
  #armed = false;
  #soft = Infinity;
  #hard = Infinity;
  #written = 0;
  #toRead = new Uint8Array(0);
  /** memory was asked for that is not given */
  memoryRefused = false;
  /** more was written than is taken */
  flooded = false;
  /** the time is up and Python was told */
  interrupted = false;

  constructor(options: WallOptions) {
    this.#options = options;
  }

  /** Puts the wall into what Python is about to be given; in place, so that no table gets an original. */
  guard(imports: Record<string, unknown>): void {
    const kinds = this.#kinds();
    for (const [name, original] of Object.entries(imports)) {
      if (typeof original !== 'function') continue;
      const call = original as Import;
      const guarded = kinds.get(name)?.(call) ?? (() => this.#options.end({ why: 'denied', what: name }));
      const gate = (...args: number[]) => (this.#armed ? guarded(...args) : call(...args));
      // emscripten keeps the signature beside a function
      imports[name] = Object.assign(gate, original);
    }
  }

  /** From here on. There is no way back. */
  arm(memory: Memory): void {
    this.#memory = memory;
    this.#armed = true;
  }

  /**
   * Begins a call.
   * @param input what Python reads first
   * @param milliseconds until it is interrupted; a fifth later the process ends
   */
  begin(input: Uint8Array<ArrayBuffer>, milliseconds: number): void {
    this.#toRead = input;
    this.#written = 0;
    this.memoryRefused = false;
    this.flooded = false;
    this.interrupted = false;
    this.#soft = performance.now() + milliseconds;
    this.#hard = this.#soft + milliseconds / 5;
  }

  /** What Python reads next; the time since `asked` does not count as its own. */
  give(answer: Uint8Array<ArrayBuffer>, asked: number): void {
    const waited = performance.now() - asked;
    this.#soft += waited;
    this.#hard += waited;
    this.#toRead = answer;
  }

  #kinds(): Map<string, (original: Import) => Import> {
    const kinds = new Map<string, (original: Import) => Import>();
    for (const name of PASSED) kinds.set(name, (original) => original);
    for (const name of REFUSED) kinds.set(name, () => () => -EACCES);
    for (const [name, value] of Object.entries(CONSTANTS)) kinds.set(name, () => () => value);
    kinds.set('fd_write', () => (file, vectors, count, written) => this.#write(file, vectors, count, written));
    kinds.set('fd_read', (original) => (file, ...rest) => {
      if (file === CHANNEL) return this.#read(...rest);
      return (file ?? 0) < 3 ? EBADF : original(file ?? 0, ...rest);
    });
    // what every call finds open stays as it is
    kinds.set(
      'fd_close',
      (original) =>
        (file = 0) =>
          file < 3 ? EBADF : original(file),
    );
    for (const name of ['__syscall_fcntl64', '_try_fcntl64']) {
      kinds.set(
        name,
        (original) =>
          (file = 0, ...rest) =>
            file < 3 ? -EBADF : original(file, ...rest),
      );
    }
    kinds.set('__syscall_openat', (original) => (folder = 0, path = 0, flags = 0, ...rest) => {
      const writes = (flags & O_ACCMODE) !== 0 || (flags & O_CREAT_TRUNC) !== 0;
      return writes || !READABLE.test(this.#path(path)) ? -EACCES : original(folder, path, flags, ...rest);
    });
    kinds.set('emscripten_resize_heap', (original) => (wanted = 0) => {
      if (wanted >>> 0 <= this.#options.memory) return original(wanted);
      this.memoryRefused = true;
      return 0;
    });
    kinds.set('_Py_CheckEmscriptenSignals_Helper', () => () => this.#tick());
    for (const name of ['proc_exit', 'exit', '_abort_js', '__assert_fail']) {
      kinds.set(name, () => () => this.#options.end({ why: 'exit' }));
    }
    return kinds;
  }

  /** Python asks now and then whether a signal came: here, whether the time is up. */
  #tick(): number {
    const now = performance.now();
    if (now > this.#hard) this.#options.end({ why: 'time' });
    if (now <= this.#soft || this.interrupted) return 0;
    this.interrupted = true;
    return INTERRUPT;
  }

  #write(file = 0, vectors = 0, count = 0, written = 0): number {
    if (file !== CHANNEL && file !== 1 && file !== 2) return EACCES;
    const view = this.#view();
    const parts: Buffer[] = [];
    for (let index = 0; index < count; index += 1) {
      const at = view.getUint32(vectors + 8 * index, true);
      const length = view.getUint32(vectors + 8 * index + 4, true);
      this.#written += length;
      if (this.#written > this.#options.output) {
        this.flooded = true;
        return ENOSPC;
      }
      parts.push(Buffer.from(new Uint8Array(view.buffer, at, length)));
    }
    const whole = Buffer.concat(parts);
    if (file === CHANNEL) this.#options.onMessage(whole);
    else this.#options.onText(whole.toString('utf8'));
    view.setUint32(written, whole.length, true);
    return 0;
  }

  #read(vectors = 0, count = 0, read = 0): number {
    if (count < 1) return EIO;
    const view = this.#view();
    const at = view.getUint32(vectors, true);
    const part = this.#toRead.subarray(0, view.getUint32(vectors + 4, true));
    new Uint8Array(view.buffer, at, part.length).set(part);
    this.#toRead = this.#toRead.subarray(part.length);
    view.setUint32(read, part.length, true);
    return 0;
  }

  /** @returns a text that is no path when it does not end in time: what is not seen must not be opened either */
  #path(at: number): string {
    const bytes = new Uint8Array(this.#view().buffer, at >>> 0);
    const end = bytes.subarray(0, PATH_BYTES).indexOf(0);
    return end === -1 ? '' : Buffer.from(bytes.subarray(0, end)).toString('latin1');
  }

  #view(): DataView<ArrayBuffer> {
    if (this.#memory === undefined) throw new TypeError('arm() comes first');
    return new DataView(this.#memory.buffer);
  }
}
