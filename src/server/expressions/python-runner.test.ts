import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, it } from 'node:test';
import { ANNA, callOf, openForTest, told } from './facts.test-helper.ts';
import { FrameReader, frame } from './frames.ts';
import { isolated } from './python-process.ts';

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20);
}

const alive = (pid: number) => existsSync(`/proc/${String(pid)}`);

describe("Python's process", () => {
  it('is replaced when it is killed, and nobody in line is lost', async () => {
    const expressions = openForTest();
    try {
      const first = expressions.evaluate(callOf('return 0'));
      assert.equal(told(await first), 0);
      const pid = expressions.pid ?? 0;
      let asked = 0;
      const killed = expressions.evaluate(
        callOf('return ak_user_by(username="x").username', {
          ask: () => {
            asked += 1;
            if (asked === 1) process.kill(pid, 'SIGKILL');
            return Promise.resolve(ANNA);
          },
        }),
      );
      const waiting = [1, 2, 3].map((number) => expressions.evaluate(callOf(`return ${String(number)}`)));
      assert.equal(told(await killed), 'anna');
      assert.deepEqual((await Promise.all(waiting)).map(told), [1, 2, 3]);
      assert.notEqual(expressions.pid, pid);
      assert.ok(!alive(pid));
      assert.equal(asked, 2);

      // twice under the same call: it is given up, the others go on
      const unlucky = expressions.evaluate(
        callOf('return ak_user_by(username="x").username', {
          ask: () => {
            process.kill(expressions.pid ?? 0, 'SIGKILL');
            return Promise.resolve(ANNA);
          },
        }),
      );
      const next = expressions.evaluate(callOf('return 4'));
      assert.match(String(told(await unlucky)), /^unavailable: /);
      assert.equal(told(await next), 4);
    } finally {
      await expressions.close();
    }
  });

  it('ends when nobody needs it, and comes back', async () => {
    const expressions = openForTest({ idle: 50 });
    try {
      assert.equal(told(await expressions.evaluate(callOf('return 1'))), 1);
      const pid = expressions.pid ?? 0;
      await until(() => expressions.pid === undefined && !alive(pid));
      assert.equal(told(await expressions.evaluate(callOf('return 2'))), 2);
      assert.ok(!expressions.lines.some((line) => line.includes('ended unasked')));
    } finally {
      await expressions.close();
    }
  });

  it('ends with what opened it; who waits is told', async () => {
    const expressions = openForTest();
    const running = expressions.evaluate(callOf('while True: pass'));
    const waiting = expressions.evaluate(callOf('return 1'));
    await until(() => expressions.pid !== undefined);
    const pid = expressions.pid ?? 0;
    await expressions.close();
    assert.ok(!alive(pid));
    for (const result of await Promise.all([running, waiting])) assert.match(String(told(result)), /^unavailable: /);
    assert.match(String(told(await expressions.evaluate(callOf('return 1')))), /^unavailable: the server is stopping/);
    await assert.rejects(expressions.check('return 1'), { code: 'expressions-unavailable' });
    await openForTest().close(); // never started
  });

  it('can be started ahead', async () => {
    const expressions = openForTest();
    try {
      expressions.warm();
      expressions.warm();
      await until(() => expressions.lines.some((line) => line.includes('is up')));
      const { pid } = expressions;
      assert.equal(told(await expressions.evaluate(callOf('return 1'))), 1);
      assert.equal(expressions.pid, pid);
    } finally {
      await expressions.close();
    }
  });

  it('is not waited for endlessly', async () => {
    const expressions = openForTest({ waiting: 1 });
    try {
      assert.match(String(told(await expressions.evaluate(callOf('return 1')))), /^unavailable: it waited too long/);
      const many = await Promise.all(Array.from({ length: 501 }, () => expressions.evaluate(callOf('return 1'))));
      assert.ok(many.some((result) => String(told(result)).includes('too many')));
    } finally {
      await expressions.close();
    }
  });

  it('takes no facts and no text without limit', async () => {
    const expressions = openForTest();
    const context = { ...callOf('').context, context: { large: 'x'.repeat(2 ** 20) } };
    assert.match(String(told(await expressions.evaluate(callOf('return 1', { context })))), /^memory: /);
    assert.match(String(told(await expressions.evaluate(callOf('#'.repeat(2 ** 17))))), /^refused: /);
    assert.match((await expressions.check('#'.repeat(2 ** 17)))?.message ?? '', /64 KiB/);
    assert.equal(expressions.pid, undefined);
  });

  it('dies with a server that is killed, also while it computes', async () => {
    // a system without setpriv leaves it to Python itself, which notices at the end of its time, unless it is inside C
    const [command = ''] = await isolated('');
    const endless =
      command === process.execPath ? 'while True: pass' : 'import itertools; return sum(itertools.repeat(1))';
    const script = `
      const { openForTest, callOf } = await import(${JSON.stringify(new URL('facts.test-helper.ts', import.meta.url).href)});
      const expressions = openForTest({ milliseconds: 5000 });
      await expressions.evaluate(callOf('return 1'));
      void expressions.evaluate(callOf(${JSON.stringify(endless)}));
      console.log(expressions.pid);
      setInterval(() => {}, 1000);`;
    const server = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(server.stdout, 'data')) as [Buffer];
    const pid = Number(line.toString());
    assert.ok(alive(pid));
    server.kill('SIGKILL');
    await until(() => !alive(pid));
  });
});

describe('frames', () => {
  it('come out whole, however they arrive', () => {
    const bytes = Buffer.concat([frame({ a: 'ä' }), frame(Buffer.from([1, 2, 3])), frame([])]);
    for (const size of [1, 2, 7, bytes.length]) {
      const reader = new FrameReader();
      const got: unknown[] = [];
      for (let at = 0; at < bytes.length; at += size) got.push(...reader.take(bytes.subarray(at, at + size)));
      assert.deepEqual(got, [{ a: 'ä' }, Buffer.from([1, 2, 3]), []]);
    }
  });

  it('are refused when they announce too much', () => {
    assert.throws(() => new FrameReader().take(Buffer.from([0, 0, 0, 127, 0])), RangeError);
    assert.throws(() => new FrameReader().take(Buffer.from([0, 0, 0, 127, 1])), RangeError);
  });
});
