import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './gatehouse.ts';
import { Nginx, selfSigned } from './nginx.ts';
import { eventually, guard, within } from './wait.ts';

/** Programs that run here; Traefik and Envoy are in no Debian package. */
export const FRONTS = ['nginx', 'caddy', 'haproxy'] as const;
export type FrontKind = (typeof FRONTS)[number];

/** A reverse proxy that runs a text of `gatehouse config`. */
export interface Front {
  log: () => string;
  stop: () => Promise<void>;
}

/** Paths the texts name, replaced by those of a test. */
interface Tls {
  cert: string;
  key: string;
}

/**
 * Starts the real program with a generated text. Only paths of files on this machine are put in.
 * @param port where the text has it listen
 * @param env more variables of the program
 */
export async function startFront(
  kind: FrontKind,
  text: string,
  port: number,
  env: Readonly<Record<string, string>> = {},
): Promise<Front> {
  if (kind === 'nginx') return Nginx.start({ port, http: (tls) => localNginx(text, tls) });
  const folder = mkdtempSync(join(tmpdir(), `gatehouse-${kind}-`));
  const tls = await selfSigned(folder);
  const local = kind === 'caddy' ? localCaddy(text, folder, tls) : localHaproxy(text, folder, tls, port);
  const configuration = join(folder, kind === 'caddy' ? 'Caddyfile' : 'haproxy.cfg');
  writeFileSync(configuration, local);
  const line = kind === 'caddy' ? CADDY(configuration) : ['/usr/sbin/haproxy', '-db', '-f', configuration];
  return Program.start(kind, line, folder, port, env);
}

const CADDY = (configuration: string) => ['/usr/bin/caddy', 'run', '--adapter', 'caddyfile', '--config', configuration];

/** The certificate's places in the text. */
export const localNginx = (text: string, { cert, key }: Tls): string =>
  text
    .replaceAll('/etc/ssl/certs/ssl-cert-snakeoil.pem', cert)
    .replaceAll('/etc/ssl/private/ssl-cert-snakeoil.key', key);

/** Caddy would ask a public authority for certificates. */
export function localCaddy(text: string, folder: string, { cert, key }: Tls): string {
  const general = `{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n\tgrace_period 1s\n\tstorage file_system ${folder}/storage\n}\n`;
  return general + text.replaceAll(/^(https:\/\/\S+ \{)$/gm, `$1\n\ttls ${cert} ${key}`);
}

export function localHaproxy(text: string, folder: string, { cert, key }: Tls, port: number): string {
  const both = join(folder, 'both.pem');
  writeFileSync(both, readFileSync(cert, 'utf8') + readFileSync(key, 'utf8'));
  return text
    .replaceAll('/etc/haproxy/certs/', both)
    .replaceAll('/etc/haproxy/gatehouse.lua', join(ROOT, 'deploy/haproxy/gatehouse.lua'))
    .replaceAll('abns@gatehouse', `abns@gatehouse-${port}`);
}

class Program implements Front {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #folder: string;
  #output = '';

  private constructor(name: string, child: ChildProcess, folder: string) {
    this.#name = name;
    this.#child = child;
    this.#folder = folder;
    if (child.pid !== undefined) guard.add(child.pid);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8');
      stream?.on('data', (text: string) => (this.#output += text));
    }
  }

  static async start(
    name: string,
    line: string[],
    folder: string,
    port: number,
    more: Readonly<Record<string, string>>,
  ): Promise<Program> {
    const env = { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder, ...more };
    const child = spawn(line[0]!, line.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env });
    const program = new Program(name, child, folder);
    await eventually(`${name} listens`, 60_000, async () => {
      if (child.exitCode === null) await reachable(port);
    });
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}\n${program.log()}`);
    return program;
  }

  log = (): string => `--- ${this.#name} ---\n${this.#output}`;

  stop = async (): Promise<void> => {
    if (this.#child.exitCode === null) {
      const closed = new Promise((resolve) => this.#child.once('close', () => resolve(true)));
      this.#child.kill(this.#name === 'haproxy' ? 'SIGINT' : 'SIGTERM');
      if ((await within(5_000, closed)) === undefined) this.#child.kill('SIGKILL');
      await closed;
    }
    if (this.#child.pid !== undefined) guard.remove(this.#child.pid);
    rmSync(this.#folder, { recursive: true, force: true });
  };
}

function reachable(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}
