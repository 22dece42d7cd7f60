import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually } from '../../../test/harness/wait.ts';
import { callOf, openForTest, told } from './facts.test-helper.ts';
import { isolated } from './python-process.ts';

/** Hears every connection that is made to it; a test ends by showing that there was none. */
const listener = createServer((socket) => {
  connections += 1;
  socket.destroy();
});
let connections = 0;
let port = 0;

before(async () => {
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  port = (listener.address() as AddressInfo).port;
});
after(() => void listener.close());

/** What is refused when saved comes here as text: what a checker of names cannot see must be stopped as well. */
const ATTEMPTS: [title: string, expression: () => string, stopped: RegExp][] = [
  ['a file, by name', () => 'return open("/etc/passwd").read()', /^refused: open is not available/],
  ['a file', () => 'import io\nreturn io.open("/etc/passwd").read()', /^raised: PermissionError/],
  ['a file, by number', () => 'import os\nreturn os.open("/etc/passwd", os.O_RDONLY)', /PermissionError/],
  ['a file of the process', () => 'import io\nreturn io.open("/proc/self/environ").read()', /PermissionError/],
  ['a device', () => 'import io\nreturn io.open("/dev/stdin").read()', /PermissionError/],
  ['a way out of the library', () => 'import io\nreturn io.open("/lib/../etc/passwd").read()', /PermissionError/],
  ['folders', () => 'import os\nreturn os.listdir("/")', /PermissionError/],
  ['folders, by a long way', () => 'import os\nreturn os.listdir("/lib/" + "./" * 2100 + "../dev")', /PermissionError/],
  ['folders, on another line', () => 'import os\nreturn os.listdir("/lib/\\n/../../dev")', /PermissionError/],
  ['folders, in longer spelling', () => 'import os\nreturn os.listdir(b"/lib/\\xc0\\xae./dev")', /PermissionError/],
  ['a file written', () => 'import io\nio.open("/tmp/x", "w").write("x")', /PermissionError/],
  ['the library written', () => 'import os\nos.open("/lib/python314.zip", os.O_RDWR)', /PermissionError/],
  ['a file removed', () => 'import os\nos.unlink("/lib/python314.zip")', /PermissionError/],
  ['a file renamed', () => 'import os\nos.rename("/lib/python314.zip", "/lib/x")', /PermissionError/],
  ['another working folder', () => 'import os\nos.chdir("/lib")', /PermissionError/],
  ['a program', () => 'import os\nassert os.system("true") == 0', /AssertionError/],
  ['a new process', () => 'import os\nreturn os.fork()', /AttributeError|OSError/],
  ['environment', () => 'import os\nreturn sorted(os.environ)', /^\["HOME","LANG",.*\]$/],
  [
    'a socket',
    () => `s = __import__("socket")\nreturn s.create_connection(("127.0.0.1", ${String(port)}), 2)`,
    /^raised: gaierror/,
  ],
  [
    'a request over HTTP',
    () => `return __import__("urllib.request").request.urlopen("http://127.0.0.1:${String(port)}/", timeout=2).read()`,
    /^raised: /,
  ],
  ['a name', () => 'return __import__("socket").getaddrinfo("localhost", 80)', /^raised: gaierror/],
  [
    'asynchronous networking',
    () => `a = __import__("asyncio")\nreturn a.run(a.open_connection("127.0.0.1", ${String(port)}))`,
    /^raised: /,
  ],
  ['JavaScript', () => 'return __import__("js").fetch', /^raised: ModuleNotFoundError/],
  [
    'JavaScript, by the name of a module',
    () => 'import importlib\nreturn importlib.import_module("pyodide_js")',
    /No module named/,
  ],
  ['what JavaScript is reached with', () => 'return __import__("_pyodide_core")', /^raised: (ModuleNotFoundError|it )/],
  ['the package above it', () => 'return __import__("pyodide.code").code.run_js("process")', /^raised: /],
  ['C', () => 'c = __import__("ctypes")\nreturn c.pythonapi.Py_GetVersion()', /^raised: /],
  ['any address', () => 'c = __import__("ctypes")\nreturn c.string_at(1 << 28, 8)', /^raised: /],
  [
    'a function of the system',
    () => 'c = __import__("ctypes")\nreturn c.CDLL(None)["emscripten_run_script"](b"fetch()")',
    /^raised: /,
  ],
  [
    'a broken code object',
    () =>
      'import types\nf = (lambda: 0).__code__.replace(co_code=bytes([255] * 64))\nreturn types.FunctionType(f, {})()',
    /./,
  ],
  ['the end of Python', () => 'import os\nos._exit(0)', /^raised: it ended Python/],
  ['an abort', () => 'import os\nos.abort()', /^raised: /],
  ['an exit', () => 'import sys\nsys.exit(0)', /^raised: SystemExit: 0/],
  ['threads', () => 'return __import__("threading").Thread(target=print).start()', /^raised: /],
  ['recursion', () => 'def f(n): return f(n + 1)\nreturn f(0)', /^raised: RecursionError/],
  ['nested data', () => 'import json\nreturn json.loads("[" * 200000)', /^raised: /],
  ['nested source', () => 'return eval("(" * 5000 + ")" * 5000)', /^raised: /],
  ['the channel to the server', () => 'import os\nos.write(1000, b"{")\nos.write(1000, b"null")\nreturn 1', /^1$/],
  [
    'a result that is nested deeper than JSON can be written',
    () =>
      `import os\nos.write(1000, b'{"kind":"done","value":' + b"[" * 100000 + b"]" * 100000 + b"}")\nos.write = lambda *_: 0`,
    /^(result|raised): /,
  ],
  [
    'an answer nobody asked for',
    () => 'import os\nos.write(1000, b\'{"kind":"finished","id":1}\')\nimport sys\nsys.exit()',
    /^raised: /,
  ],
  ['a flood of lines', () => 'for i in range(100000): print(i)', /^output: /],
  ['a flood of text', () => 'ak_logger.info("x" * 10000000)', /^output: /],
  [
    'a flood, caught',
    () => 'import os\nwhile True:\n  try: os.write(1, b"x" * 1000)\n  except OSError: return 1',
    /^output: /,
  ],
  ['a large result', () => 'return "x" * 1000000', /^output: /],
  ['memory, at once', () => 'return len("a" * 10**9)', /^memory: /],
  ['memory, bit by bit', () => 'a = []\nwhile True: a.append("x" * 100000)', /^memory: /],
  [
    'memory, caught',
    () => 'a = []\nwhile True:\n  try: a.append(bytearray(10**7))\n  except MemoryError: return len(a)',
    /^\d+$/,
  ],
];

describe('an expression that wants out', () => {
  const expressions = openForTest();
  after(() => expressions.close());

  for (const [title, expression, stopped] of ATTEMPTS) {
    it(`gets no further: ${title}`, async () => {
      const result = await expressions.evaluate(callOf(expression()));
      assert.match(result.ok ? JSON.stringify(result.value) : String(told(result)), stopped);
      assert.equal(told(await expressions.evaluate(callOf('return user.username'))), 'anna');
      assert.equal(connections, 0);
    });
  }

  it('changes nothing for the next call', async () => {
    const changes = [
      'import builtins\nbuiltins.len = lambda x: 3',
      'import re\nre.sub = re.search = lambda *a: "evil"',
      'regex_match.__globals__["re"].search = lambda *a: True',
      'regex_match.__code__ = (lambda value, regex: True).__code__',
      'ak_is_group_member.__globals__["QuerySet"].exists = lambda self: True',
      'import sys\nsys.modules["__main__"]._json = lambda *a: "evil"\nsys.modules["__main__"]._run = None',
      'import sys\nsys.modules.clear()\nsys.path.clear()',
      'import sys\nsys.settrace(lambda *a: None)\nsys.setrecursionlimit(60)',
      'import json, gc\njson.dumps = None\ngc.disable()\ngc.get_referents(str.__dict__)[0]["upper"] = lambda self: "EVIL"',
      'import os\nos.environ["X"] = "y"\nos.write = None',
      'import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)'.replace(
        'import signal',
        'signal = __import__("signal")',
      ),
      'import io\nkeep = [io.open("/lib/python314.zip", "rb") for _ in range(50)]\nimport builtins\nbuiltins.keep = keep',
      'import os\nfor file in range(10): os.close(file)',
      'import ipaddress\nipaddress.IPv4Network.__contains__ = lambda *a: True',
    ];
    const probe = callOf(
      `import os, builtins, sys
return [len("a"), regex_match("a", "b"), ak_is_group_member(user, name="x"), "a".upper(), "X" in os.environ,
        ak_client_ip in ip_network("192.168.0.0/16"), hasattr(builtins, "keep"), sys.getrecursionlimit(), sys.gettrace()]`,
    );
    const clean = [1, false, false, 'A', false, false, false, 1000, null];
    assert.deepEqual(told(await expressions.evaluate(probe)), clean);
    for (const change of changes) {
      await expressions.evaluate(callOf(change));
      assert.deepEqual(told(await expressions.evaluate(probe)), clean, change);
    }
  });

  it('leaves no file open, and no place in one', async (t) => {
    const first = openForTest(); // the first process has come up in another way than those after it
    t.after(() => first.close());
    const leave = 'import os\nf = os.open("/lib/python314.zip", 0)\nos.lseek(f, 99, 0)\nreturn f';
    const file = Number(told(await first.evaluate(callOf(leave))));
    const look = `import os\nseen = []\nfor f in range(3, ${String(file + 5)}):\n  try: seen.append(os.lseek(f, 0, 1))\n  except OSError: pass\nreturn seen`;
    assert.deepEqual(told(await first.evaluate(callOf(look))), []);
    assert.equal(told(await first.evaluate(callOf(leave))), file, 'the same number again');
  });

  it('draws other random numbers each time', async () => {
    const draw = callOf(
      'import random, uuid, secrets\nreturn [random.random(), str(uuid.uuid4()), secrets.token_hex()]',
    );
    const [one, other] = [await expressions.evaluate(draw), await expressions.evaluate(draw)].map(told);
    for (const index of [0, 1, 2]) assert.notEqual((one as string[])[index], (other as string[])[index]);
  });

  it('sees nothing of another call', async () => {
    const keep = 'import builtins\nbuiltins.a = user\nreturn len("the secret of one call" * 100)';
    await expressions.evaluate(callOf(keep));
    const look = 'import gc\nreturn sum(1 for o in gc.get_objects() if type(o).__name__ == "User")';
    assert.equal(told(await expressions.evaluate(callOf(look))), 1);
  });
});

describe('an expression that does not stop', () => {
  const expressions = openForTest({ milliseconds: 1500 });
  after(() => expressions.close());

  const LOOPS: [title: string, expression: string][] = [
    ['a loop', 'while True: pass'],
    ['a regular expression', 'return regex_match("a" * 40 + "b", "^(a+)+$")'],
    ['a large number', 'return 10 ** 10 ** 8'],
    ['a loop that does not want to stop', 'while True:\n  try:\n    while True: pass\n  except BaseException: pass'],
    ['a loop inside a function of Python', 'import itertools\nreturn sum(itertools.repeat(1))'],
    ['sleep', 'import time\ntime.sleep(1000)'],
  ];
  for (const [title, expression] of LOOPS) {
    it(`is stopped: ${title}`, async () => {
      assert.match(String(told(await expressions.evaluate(callOf(expression)))), /^time: /);
      // a machine that stands still takes the time of any other, too
      await eventually('others go on', 20_000, async () => {
        assert.equal(told(await expressions.evaluate(callOf('return user.username'))), 'anna');
      });
    });
  }

  it('is not run for a while when it did so several times', async () => {
    const call = callOf('while True: 1');
    for (const _ of [1, 2, 3]) await expressions.evaluate(call);
    const result = await expressions.evaluate(call);
    assert.match(String(told(result)), /^time: .* not run for a while/);
    assert.equal(result.milliseconds, 0);
  });
});

describe("Python's process", () => {
  it('has nothing of the system to reach', async () => {
    const main = fileURLToPath(new URL('prying.test-helper.ts', import.meta.url));
    const [command = '', ...options] = await isolated(main);
    const child = spawn(command, [...options, `127.0.0.1 ${String(port)}`], {
      env: {},
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    });
    const chunks = await (child.stdio[3] as Readable).toArray();
    const { network, ...rest } = JSON.parse(Buffer.concat(chunks as Buffer[]).toString('utf8')) as {
      network: string;
    };
    assert.deepEqual(rest, {
      file: 'ERR_ACCESS_DENIED',
      folder: 'ERR_ACCESS_DENIED',
      write: 'ERR_ACCESS_DENIED',
      program: 'ERR_ACCESS_DENIED',
      worker: 'ERR_ACCESS_DENIED',
      code: 'EvalError',
      environment: [],
    });
    // without a namespace of its own only the wall and the missing functions keep it from the network
    if (options.includes('--net')) assert.notEqual(network, 'reached');
  });
});
