import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually, guard } from './wait.ts';

const run = promisify(execFile);

/** A certificate for the names of the tests, made for one test run. */
export async function selfSigned(folder: string): Promise<{ cert: string; key: string }> {
  const cert = join(folder, 'cert.pem');
  const key = join(folder, 'key.pem');
  const words = (text: string) => text.split(' ');
  await run('openssl', [
    ...words('req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=gatehouse-tests'),
    ...words(
      '-addext subjectAltName=DNS:*.test,DNS:*.nginxcorp.test,DNS:*.caddycorp.test,DNS:*.haproxycorp.test,DNS:localhost -keyout',
    ),
    key,
    '-out',
    cert,
  ]);
  return { cert, key };
}

export interface NginxOptions {
  /** text inside `http { }`, given the paths of the certificate */
  http: (tls: { cert: string; key: string }) => string;
  /** where to try whether it listens */
  port: number;
  host?: string;
  /** command put in front, e.g. `ip netns exec name` */
  prefix?: string[];
}

/** The real nginx of the machine, in a folder of its own. */
export class Nginx {
  readonly #folder: string;
  readonly #child: ChildProcess;
  #output = '';

  private constructor(folder: string, child: ChildProcess) {
    this.#folder = folder;
    this.#child = child;
    if (child.pid !== undefined) guard.add(child.pid);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8');
      stream?.on('data', (text: string) => (this.#output += text));
    }
  }

  static async start(options: NginxOptions): Promise<Nginx> {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-nginx-'));
    const tls = await selfSigned(folder);
    const configuration = join(folder, 'nginx.conf');
    writeFileSync(configuration, frame(folder, options.http(tls)));
    const line = [...(options.prefix ?? []), '/usr/sbin/nginx', '-p', folder, '-c', configuration];
    const child = spawn(line[0]!, line.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    const nginx = new Nginx(folder, child);
    await eventually('nginx listens', 60_000, async () => {
      if (child.exitCode !== null) return;
      await reachable(options.host ?? '127.0.0.1', options.port);
    });
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}\n${nginx.log()}`);
    return nginx;
  }

  log(): string {
    let errors = '';
    try {
      errors = readFileSync(join(this.#folder, 'error.log'), 'utf8');
    } catch {
      // not written yet
    }
    return `--- nginx ---\n${this.#output}${errors}`;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null) {
      const closed = new Promise((resolve) => this.#child.once('close', resolve));
      this.#child.kill('SIGTERM');
      await closed;
    }
    if (this.#child.pid !== undefined) guard.remove(this.#child.pid);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function frame(folder: string, http: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `  ${name}_temp_path ${folder}/${name};`)
    .join('\n');
  return `${process.getuid?.() === 0 ? 'user root;\n' : ''}daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events { worker_connections 256; }
http {
  access_log ${folder}/access.log;
${temporary}
${http}
}
`;
}

function reachable(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host, () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}
