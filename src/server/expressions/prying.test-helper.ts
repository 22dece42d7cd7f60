/** Started in Python's place by a test: says what of the system a script could reach there. */
import { writeSync } from 'node:fs';

const [, , , address = ''] = process.argv;

async function attempt(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'reached';
  } catch (error) {
    return String((error as { code?: string }).code ?? (error as Error).name);
  }
}

const fs = await import('node:fs');
const net = await import('node:net');
const childProcess = await import('node:child_process');
const workers = await import('node:worker_threads');

const found = {
  file: await attempt(() => fs.readFileSync('/etc/passwd')),
  folder: await attempt(() => fs.readdirSync('/')),
  write: await attempt(() => fs.writeFileSync('/tmp/from-an-expression', '')),
  program: await attempt(() => childProcess.spawnSync('true')),
  worker: await attempt(() => new workers.Worker('', { eval: true })),
  code: await attempt(() => Reflect.construct(Function, ['return 1'])),
  environment: Object.keys(process.env),
  network: await attempt(
    () =>
      new Promise((resolve, reject) => {
        const [host = '', port = ''] = address.split(' ');
        net.connect({ host, port: Number(port) }, () => resolve(undefined)).once('error', reject);
      }),
  ),
};
writeSync(3, JSON.stringify(found));
process.exit(0);
