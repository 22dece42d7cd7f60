import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CHANNEL } from './runner.ts';
import { Wall } from './wall.ts';
import type { EndReason } from './wall.ts';

class Ended extends Error {
  readonly reason: EndReason;
  constructor(reason: EndReason) {
    super('ended');
    this.reason = reason;
  }
}

/** A wall in front of functions that only count, with a memory to point into. */
function walled(names: string[], bytes = 1000) {
  const calls: string[] = [];
  const messages: string[] = [];
  const imports: Record<string, unknown> = {};
  for (const name of names) {
    imports[name] = Object.assign(
      (...args: number[]) => {
        calls.push(`${name}(${args.join()})`);
        return 42;
      },
      { sig: 'i' },
    );
  }
  const wall = new Wall({
    memory: 1000,
    output: 100,
    onMessage: (body) => void messages.push(Buffer.from(body).toString('utf8')),
    onText: (text) => void messages.push(`text ${text}`),
    end: (reason) => {
      throw new Ended(reason);
    },
  });
  wall.guard(imports);
  const memory = { buffer: new ArrayBuffer(bytes) };
  const call = (name: string, ...args: number[]) => (imports[name] as (...args: number[]) => unknown)(...args);
  const put = (at: number, text: string) => new Uint8Array(memory.buffer).set(Buffer.from(`${text}\0`), at);
  const vector = (at: number, from: number, length: number) => {
    new DataView(memory.buffer).setUint32(at, from, true);
    new DataView(memory.buffer).setUint32(at + 4, length, true);
  };
  return { wall, memory, imports, calls, messages, call, put, vector };
}

describe('the wall', () => {
  it('lets everything through until it is armed, and keeps what stands beside a function', () => {
    const { call, calls, imports } = walled(['raw_call_js']);
    assert.equal(call('raw_call_js', 1), 42);
    assert.deepEqual(calls, ['raw_call_js(1)']);
    assert.equal((imports['raw_call_js'] as { sig: string }).sig, 'i');
  });

  it('ends the process for what is not named: the bridge, programs, libraries, whatever comes with a new version', () => {
    const names = ['raw_call_js', 'JsProxy_GetAttr_js', 'ffi_call_js', 'emscripten_asm_const_int', '_dlopen_js', 'new'];
    const { wall, memory, call, calls } = walled(names);
    wall.arm(memory);
    for (const name of names) {
      assert.throws(
        () => call(name),
        (error: Ended) => error.reason.why === 'denied' && error.reason.what === name,
      );
    }
    assert.deepEqual(calls, []);
  });

  it('answers sockets and changes of files with a refusal', () => {
    const names = ['__syscall_socket', '__syscall_connect', '__syscall_unlinkat', '__syscall_mkdirat'];
    const { wall, memory, call, calls } = walled(names);
    wall.arm(memory);
    for (const name of names) assert.equal(call(name, 1, 2, 3), -2);
    assert.deepEqual(calls, []);
  });

  it('opens the standard library for reading, and nothing else', () => {
    const { wall, memory, call, calls, put } = walled(['__syscall_openat']);
    wall.arm(memory);
    const open = (path: string, flags: number) => {
      put(0, path);
      return call('__syscall_openat', -100, 0, flags, 0);
    };
    assert.equal(open('/lib/python314.zip', 0), 42);
    assert.equal(open('/lib/python3.14/x.py', 0o2000000), 42);
    assert.equal(calls.length, 2);
    for (const path of ['/etc/passwd', '/lib/../etc/passwd', 'lib/x', '/library', '/dev/tty', '', '/lib/a/../../x']) {
      assert.equal(open(path, 0), -2, path);
    }
    for (const flags of [1, 2, 0o100, 0o1000, 0o102]) assert.equal(open('/lib/python314.zip', flags), -2);
    assert.equal(calls.length, 2);
  });

  it('opens no path it has not seen to its end, or that can be read in two ways', () => {
    const { wall, memory, call, calls } = walled(['__syscall_openat'], 10_000);
    wall.arm(memory);
    const open = (path: string | Uint8Array) => {
      new Uint8Array(memory.buffer).fill(0);
      new Uint8Array(memory.buffer).set(Buffer.from(path));
      return call('__syscall_openat', -100, 0, 0, 0);
    };
    const long = `/lib/${'./'.repeat(2100)}`;
    assert.equal(open(`${long}../dev`), -2);
    assert.equal(open(long), -2);
    assert.equal(open('/lib/x\n/../../dev'), -2, 'on another line');
    assert.equal(open(Buffer.from('/lib/\xc0\xae./dev', 'latin1')), -2, 'a point written in two bytes');
    assert.deepEqual(calls, []);
    assert.equal(open(`/lib/${'x'.repeat(4090)}`), 42, 'the longest there is');
    assert.equal(open(`/lib/${'x'.repeat(4091)}`), -2);
  });

  it('takes writing for messages, up to a limit, and reads nothing else out', () => {
    const { wall, memory, call, messages, put, vector } = walled(['fd_write', 'fd_read']);
    wall.arm(memory);
    wall.begin(new Uint8Array(Buffer.from('input')), 1000);
    put(100, 'hello');
    vector(0, 100, 5);
    assert.equal(call('fd_write', CHANNEL, 0, 1, 50), 0);
    assert.equal(call('fd_write', 1, 0, 1, 50), 0);
    assert.equal(call('fd_write', 5, 0, 1, 50), 2);
    assert.deepEqual(messages, ['hello', 'text hello']);
    vector(0, 200, 3);
    assert.equal(call('fd_read', CHANNEL, 0, 1, 50), 0);
    assert.equal(Buffer.from(memory.buffer, 200, 3).toString(), 'inp');
    assert.equal(call('fd_read', 0, 0, 1, 50), 8);
    assert.equal(call('fd_read', 5, 0, 1, 50), 42);
    vector(0, 100, 99);
    assert.equal(call('fd_write', CHANNEL, 0, 1, 50), 51);
    assert.ok(wall.flooded);
    wall.begin(new Uint8Array(0), 1000);
    assert.ok(!wall.flooded);
  });

  it('gives memory up to a limit', () => {
    const { wall, memory, call } = walled(['emscripten_resize_heap']);
    wall.arm(memory);
    assert.equal(call('emscripten_resize_heap', 1000), 42);
    assert.ok(!wall.memoryRefused);
    assert.equal(call('emscripten_resize_heap', 1001), 0);
    assert.equal(call('emscripten_resize_heap', -1), 0); // four gigabytes, as a signed number
    assert.ok(wall.memoryRefused);
  });

  it('interrupts once, then ends the process', () => {
    const { wall, memory, call } = walled(['_Py_CheckEmscriptenSignals_Helper']);
    wall.arm(memory);
    wall.begin(new Uint8Array(0), 60_000);
    assert.equal(call('_Py_CheckEmscriptenSignals_Helper'), 0);
    wall.begin(new Uint8Array(0), 60_000);
    wall.give(new Uint8Array(0), performance.now() + 66_000); // as if it had computed for 66 seconds
    assert.equal(call('_Py_CheckEmscriptenSignals_Helper'), 2);
    assert.equal(call('_Py_CheckEmscriptenSignals_Helper'), 0);
    wall.give(new Uint8Array(0), performance.now() + 60_000);
    assert.throws(() => call('_Py_CheckEmscriptenSignals_Helper'), Ended);
    wall.begin(new Uint8Array(0), -1); // its time is over, and so is what comes after
    assert.throws(
      () => call('_Py_CheckEmscriptenSignals_Helper'),
      (error: Ended) => error.reason.why === 'time',
    );
    wall.begin(new Uint8Array(0), 60_000);
    wall.give(new Uint8Array(0), performance.now() - 120_000); // waiting for the server is not its time
    assert.equal(call('_Py_CheckEmscriptenSignals_Helper'), 0);
  });
});
