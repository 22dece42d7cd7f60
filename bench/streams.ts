/** WebSocket messages and large transfers through proxy mode, against nginx `proxy_pass`; the same application behind both. */
import { execFile } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from '../test/harness/client.ts';
import { freePort } from '../test/harness/ports.ts';
import { LOAD_CORE, median, ratios, TESTED_CORE } from './lib/load.ts';
import type { Target } from './lib/load.ts';
import { messages } from './lib/messages.ts';
import { listening, start } from './lib/processes.ts';
import type { Row, Section } from './lib/row.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const BUDGET = 0.5;

export const streams: Section = async (product, { rounds, seconds }) => {
  await product.start(1, TESTED_CORE);
  const upstreamPort = await freePort();
  const upstream = start([process.execPath, 'bench/lib/streams-upstream.ts', String(upstreamPort)], {
    core: LOAD_CORE,
  });
  const nginxPort = await freePort();
  const nginx = start(['nginx', '-p', product.folder, '-c', configuration(product.folder, nginxPort, upstreamPort)]);
  try {
    await listening(upstreamPort);
    await listening(nginxPort);
    const headers = await signIn(product, `http://127.0.0.1:${upstreamPort}`);
    const tested = { url: product.origin, headers };
    const baseline = { url: `http://127.0.0.1:${nginxPort}`, headers };
    // 1 GiB; quick rounds take less, and say so
    const size = seconds >= 5 ? 1024 * MIB : 128 * MIB;
    const file = join(product.folder, 'upload');
    writeFileSync(file, '');
    truncateSync(file, size);

    const compare = async (what: string, unit: string, measure: (target: Target) => Promise<number>): Promise<Row> => {
      const result = { baseline: [] as number[], tested: [] as number[], failures: 0 };
      for (let i = 0; i < rounds; i++) {
        result.baseline.push(await measure(baseline));
        result.tested.push(await measure(tested));
      }
      const ratio = ratios(result);
      const figures = `${Math.round(median(result.tested))} of ${Math.round(median(result.baseline))} ${unit}`;
      return {
        what: `proxy mode, ${what}, of nginx proxy_pass`,
        budget: `>= ${BUDGET}`,
        measured: `${ratio.median.toFixed(2)} (${figures})`,
        spread: `${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)}`,
        kept: ratio.median >= BUDGET,
      };
    };
    const socket = (target: Target) => messages({ ...target, url: `${target.url}/socket` }, seconds);
    const down = (target: Target) => transfer(target, [`${target.url}/download?bytes=${size}`], size);
    const up = (target: Target) => transfer(target, ['-T', file, `${target.url}/upload`], size);
    return [
      await compare('WebSocket messages of 64 bytes, 32 connections', 'a second', socket),
      await compare(`download of ${size / MIB} MiB`, 'MiB/s', down),
      await compare(`upload of ${size / MIB} MiB`, 'MiB/s', up),
    ];
  } finally {
    await nginx.stop();
    await upstream.stop();
  }
};

async function signIn({ provision, port, origin }: Parameters<Section>[0], internalHost: string) {
  const host = `wiki.test:${port}`;
  const person = await provision.user('alice');
  await provision.serverAddress(`http://auth.test:${port}`);
  await provision.application({ slug: 'wiki', mode: 'proxy', externalHost: `http://${host}`, internalHost });
  await provision.served(origin, `http://${host}`);
  const client = new Client();
  const page = await client.enter(`http://${host}/page`, person.username, person.password);
  const cookie = client.jar.header(new URL(`http://${host}/page`));
  await client.close();
  if (page.status !== 200) throw new Error(`the page answers ${page.status}`);
  return { host, cookie };
}

/** @returns MiB per second of a curl call that moves `size` bytes */
async function transfer({ headers }: Target, args: string[], size: number): Promise<number> {
  const own = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const format = '%{http_code} %{size_download} %{size_upload} %{time_total}';
  const call = ['-c', LOAD_CORE, 'curl', '-sS', '-H', 'Expect:', '-o', '/dev/null', '-w', format, ...own, ...args];
  const { stdout } = await run('taskset', call);
  const [status = 0, down = 0, up = 0, took = 0] = stdout.split(' ').map(Number);
  if (status !== 200 || Math.max(down, up) !== size) throw new Error(`the transfer ended with ${stdout}`);
  return size / MIB / took;
}

function configuration(folder: string, port: number, upstream: number): string {
  const file = join(folder, 'nginx-front.conf');
  mkdirSync(join(folder, 'logs'), { recursive: true });
  writeFileSync(
    file,
    `daemon off; worker_processes 1; pid ${folder}/nginx-front.pid; error_log ${folder}/nginx-front-error.log;
events { worker_connections 512; }
http { access_log off; client_max_body_size 0; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  map $http_upgrade $upgrade_or_not { default upgrade; '' ''; }
  upstream application { server 127.0.0.1:${upstream}; keepalive 16; }
  server { listen 127.0.0.1:${port};
    location / { proxy_pass http://application; proxy_http_version 1.1; proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $upgrade_or_not;
      proxy_buffering off; proxy_request_buffering off; } } }`,
  );
  return file;
}
