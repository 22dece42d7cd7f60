/**
 * Writes the files of deploy/ from the templates of `gatehouse config` and `gatehouse manifest`, with example values, and
 * shows them in the guides: `node_modules/.bin/node scripts/deploy-files.ts`.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { TARGETS } from '../src/commands/config/targets.ts';
import type { Target } from '../src/commands/config/targets.ts';
import { configValues } from '../src/commands/config/values.ts';
import { siteFiles } from './deploy-site.ts';
import { UNITS } from './deploy-units.ts';

const MODES = { 'single-application': 'forward_single', 'domain-level': 'forward_domain' } as const;
export type DeployMode = keyof typeof MODES;

/** Where each target's files lie: before and after the name of the mode. */
const PLACES: Readonly<Record<Target, readonly [string, string]>> = {
  nginx: ['deploy/nginx/', '.conf'],
  'ingress-nginx': ['deploy/ingress-nginx/', '.yaml'],
  traefik: ['deploy/traefik/', '.yaml'],
  'traefik-labels': ['deploy/traefik/', '.compose.yaml'],
  'traefik-kubernetes': ['deploy/traefik/', '.kubernetes.yaml'],
  caddy: ['deploy/caddy/', '.Caddyfile'],
  envoy: ['deploy/envoy/', '.yaml'],
  haproxy: ['deploy/haproxy/', '.cfg'],
};

export const deployFile = (target: Target, mode: DeployMode): string => PLACES[target].join(mode);

/** Every file with its text. */
export function deployFiles(): Map<string, string> {
  const files = new Map<string, string>();
  for (const target of Object.keys(TARGETS) as Target[]) {
    for (const mode of Object.keys(MODES) as DeployMode[]) {
      files.set(deployFile(target, mode), TARGETS[target](exampleValues(target, mode)));
    }
  }
  for (const [file, text] of [...siteFiles(), ...Object.entries(UNITS)]) files.set(file, text);
  return files;
}

function exampleValues(target: Target, mode: DeployMode) {
  const single = mode === 'single-application';
  const inCluster = target === 'ingress-nginx' || target === 'traefik-kubernetes';
  return configValues(
    {
      name: single ? 'Example' : 'Company',
      mode: MODES[mode],
      external_host: single ? 'https://app.company' : 'https://login.company.example',
      internal_host: '',
      cookie_domain: single ? '' : 'company.example',
    },
    {
      outpostUrl: inCluster ? 'http://gatehouse.default.svc.cluster.local:9000' : 'http://outpost.company:9000',
      upstream: inCluster ? 'http://app.default.svc.cluster.local:5000' : undefined,
      host: undefined,
    },
  );
}

/**
 * Guides show files between a comment that names them and the end of the block:
 * `<!-- file: deploy/… -->`, an empty line, and a fenced block.
 */
const SHOWN = /(<!-- file: (\S+) -->\n\n```\w*\n)[^]*?(\n```\n)/g;

/** A page of the docs with the current text of every file it shows. @throws Error when it names one that is not there */
export function withFiles(page: string, read: (file: string) => string): string {
  return page.replace(SHOWN, (_, before: string, file: string, after: string) => before + read(file).trimEnd() + after);
}

export const GUIDES = [
  'nginx',
  'ingress-nginx',
  'traefik',
  'caddy',
  'envoy',
  'haproxy',
  'docker',
  'kubernetes',
  'systemd',
].map((name) => `docs/guides/${name}.md`);

if (import.meta.main) {
  for (const [file, text] of deployFiles()) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  for (const guide of GUIDES) {
    writeFileSync(
      guide,
      withFiles(readFileSync(guide, 'utf8'), (file) => readFileSync(file, 'utf8')),
    );
  }
}
