/** Proxy mode, GET of 1 KiB, against bare node:http + undici; the same nginx answers behind both. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '../test/harness/client.ts';
import { freePort } from '../test/harness/ports.ts';
import { compareInPairs, LOAD_CORE, median, ratios, TESTED_CORE } from './lib/load.ts';
import { listening, start } from './lib/processes.ts';
import type { Section } from './lib/row.ts';

export const proxyMode: Section = async (product, { rounds, seconds }) => {
  await product.start(1, TESTED_CORE);
  const upstreamPort = await freePort();
  const upstream = start(['nginx', '-p', product.folder, '-c', nginxConfiguration(product.folder, upstreamPort)], {
    core: LOAD_CORE,
  });
  const origin = `http://127.0.0.1:${upstreamPort}`;
  const host = `wiki.test:${product.port}`;
  const person = await product.provision.user('alice');
  await product.provision.serverAddress(`http://auth.test:${product.port}`);
  const application = { slug: 'wiki', mode: 'proxy', externalHost: `http://${host}`, internalHost: origin } as const;
  await product.provision.application(application);
  await product.provision.served(product.origin, `http://${host}`);
  const client = new Client();
  const page = await client.enter(`http://${host}/page`, person.username, person.password);
  const cookie = client.jar.header(new URL(`http://${host}/page`));
  await client.close();
  if (page.status !== 200 || page.text.length !== 1024) throw new Error(`the page answers ${page.status}`);

  const headers = { host, cookie };
  try {
    const result = await compareInPairs(rounds, seconds, async () => {
      await product.stop();
      await product.start(1, TESTED_CORE);
      await product.provision.served(product.origin, `http://${host}`);
      const port = await freePort();
      const bare = start([process.execPath, 'bench/baseline/proxy.ts', String(port), origin]);
      await listening(port);
      return {
        baseline: { url: `http://127.0.0.1:${port}/page`, headers },
        tested: { url: `${product.origin}/page`, headers },
        close: () => bare.stop(),
      };
    });
    const ratio = ratios(result);
    return [
      {
        what: 'proxy mode, GET 1 KiB, of bare node:http + undici',
        budget: '>= 0.85',
        measured: `${ratio.median.toFixed(2)} (${Math.round(median(result.tested))} of ${Math.round(median(result.baseline))} req/s, ${result.failures} failures)`,
        spread: `${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)}`,
        kept: ratio.median >= 0.85 && result.failures === 0,
      },
    ];
  } finally {
    await upstream.stop();
  }
};

function nginxConfiguration(folder: string, port: number): string {
  const file = join(folder, 'nginx.conf');
  mkdirSync(join(folder, 'logs'), { recursive: true });
  writeFileSync(
    file,
    `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/nginx-error.log;
events { worker_connections 512; }
http { access_log off; server { listen 127.0.0.1:${port}; keepalive_requests 1000000;
  location / { default_type text/plain; return 200 "${'x'.repeat(1024)}"; } } }`,
  );
  return file;
}
