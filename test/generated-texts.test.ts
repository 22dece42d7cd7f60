/** The real parsers take every text of `gatehouse config`, and hostile names change nothing in it (security rule K). */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { deployFiles, GUIDES, withFiles } from '../scripts/deploy-files.ts';
import { TARGETS } from '../src/commands/config/targets.ts';
import type { Target } from '../src/commands/config/targets.ts';
import { configValues } from '../src/commands/config/values.ts';
import type { ProviderAnswer } from '../src/commands/config/values.ts';
import { PROVIDER_MODES } from '../src/contract/api.ts';
import type { ProviderMode } from '../src/contract/api.ts';
import { FRONTS, localCaddy, localHaproxy, localNginx } from './harness/fronts.ts';
import type { FrontKind } from './harness/fronts.ts';
import { ROOT } from './harness/gatehouse.ts';
import { HOSTILE_NAMES } from './harness/hostile-names.ts';
import { selfSigned } from './harness/nginx.ts';

const run = promisify(execFile);

function provider(mode: ProviderMode, name: string, scheme = 'https'): ProviderAnswer {
  const domain = mode === 'forward_domain';
  return {
    name,
    mode,
    external_host: `${scheme}://${domain ? 'login' : 'app'}.company.example:8443`,
    internal_host: '',
    cookie_domain: domain ? 'company.example' : '',
  };
}

/** Two of presets, one of which is removed otherwise, and one with a name like a variable of the texts. */
const FURTHER = ['Remote-User', 'X-Forwarded-User', 'Cookie-1'];

/** @param scheme of the outpost and the application, as the reverse proxy reaches them */
function textOf(target: Target, mode: ProviderMode, name = 'App', scheme = 'http'): string {
  const [outpostUrl, upstream] = [`${scheme}://127.0.0.1:9000`, `${scheme}://localhost:5000`];
  return TARGETS[target](configValues(provider(mode, name), { outpostUrl, upstream, host: undefined }));
}

describe('generated texts', () => {
  let folder: string;
  let tls: { cert: string; key: string };
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'gatehouse-texts-'));
    tls = await selfSigned(folder);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const CHECKS: Record<FrontKind, (text: string) => Promise<unknown>> = {
    nginx: (text) => {
      // nginx looks host names up when it starts, and needs folders of its own
      const local = localNginx(text, tls).replaceAll('outpost.company:9000', '127.0.0.1:9000');
      const configuration = join(folder, 'nginx.conf');
      mkdirSync(join(folder, 'logs'), { recursive: true });
      writeFileSync(
        configuration,
        `pid ${folder}/pid; error_log ${folder}/error.log; events { }\nhttp {\n${local}\n}\n`,
      );
      return run('/usr/sbin/nginx', ['-t', '-p', folder, '-c', configuration]);
    },
    caddy: (text) => {
      const configuration = join(folder, 'Caddyfile');
      writeFileSync(configuration, localCaddy(text, folder, tls));
      return run('/usr/bin/caddy', ['validate', '--adapter', 'caddyfile', '--config', configuration], {
        env: { HOME: folder },
      });
    },
    haproxy: (text) => {
      const configuration = join(folder, 'haproxy.cfg');
      const local = localHaproxy(text, folder, tls, 1).replaceAll('outpost.company:9000', '127.0.0.1:9000');
      writeFileSync(configuration, local);
      return run('/usr/sbin/haproxy', ['-c', '-f', configuration]);
    },
  };

  for (const kind of FRONTS) {
    it(`${kind} takes them, in every mode, with and without TLS behind it`, async () => {
      for (const mode of PROVIDER_MODES) {
        for (const scheme of ['http', 'https']) await CHECKS[kind](textOf(kind, mode, 'App', scheme));
      }
    });

    it(`${kind} takes them for providers with hostile names`, async () => {
      for (const name of HOSTILE_NAMES) await CHECKS[kind](textOf(kind, 'forward_domain', name));
    });

    it(`${kind} takes them for providers that send further headers`, async () => {
      const sent = { ...provider('forward_single', 'App'), headers: FURTHER };
      const wishes = { outpostUrl: 'http://127.0.0.1:9000', upstream: 'http://localhost:5000', host: undefined };
      const text = TARGETS[kind](configValues(sent, wishes));
      for (const name of FURTHER) assert.match(text, new RegExp(name, 'i'));
      await CHECKS[kind](text);
    });

    it(`${kind} takes the files of deploy/`, async () => {
      const files = [...deployFiles()].filter(([file]) => file.startsWith(`deploy/${kind}/`));
      assert.equal(files.length, 2);
      for (const [, text] of files) await CHECKS[kind](text);
    });
  }

  it('nginx takes two of them beside each other', async () => {
    const other = textOf('nginx', 'forward_domain').replaceAll('company.example', 'other.example');
    await CHECKS.nginx(textOf('nginx', 'forward_single') + other);
  });

  for (const target of Object.keys(TARGETS) as Target[]) {
    it(`for ${target} are the same for every name, but for comments and the identifier`, () => {
      for (const mode of PROVIDER_MODES) {
        const expected = bare(textOf(target, mode, 'App'), 'app');
        for (const name of HOSTILE_NAMES) {
          const { slug, title } = configValues(provider(mode, name), {
            outpostUrl: 'http://127.0.0.1:9000',
            upstream: undefined,
            host: undefined,
          });
          const text = textOf(target, mode, name);
          assert.equal(bare(text, slug), expected, name);
          assert.ok(text.includes(`Provider: ${title} (mode`));
          // templates run over comments too
          assert.doesNotMatch(text, /\{\{|\{\$/);
        }
      }
    });
  }

  it('lie in deploy/ and stand in the guides as they are', () => {
    const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
    const shown = new Set<string>();
    for (const guide of GUIDES) {
      const page = withFiles(read(guide), (file) => {
        shown.add(file);
        return read(file);
      });
      assert.equal(page, read(guide), guide);
    }
    for (const [file, text] of deployFiles()) {
      assert.equal(read(file), text, file);
      const linked = GUIDES.some((guide) => read(guide).includes(`(../../${file})`));
      const further = /domain-level|compose\/outpost|kubernetes\/server|gatehouse-outpost/.test(file);
      assert.ok(shown.has(file) || (linked && further), `no guide shows ${file}`);
    }
    assert.ok(shown.has('deploy/haproxy/gatehouse.lua'));
  });
});

/** A text without its first comments, with the identifier as a placeholder. */
function bare(text: string, slug: string): string {
  const lines = text.split('\n');
  const body = lines.slice(lines.indexOf(''));
  return body.join('\n').replaceAll(new RegExp(`(?<=(?:app|gatehouse)-)${slug}(?![a-z0-9])`, 'g'), 'NAME');
}
