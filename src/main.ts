/**
 * The command line. Each command loads only what it needs; a wrong command ends with 2, a failure with 1, and a person
 * reads sentences, not stack traces.
 */
import { existsSync } from 'node:fs';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { CodedError, InvalidInput } from './contract/errors.ts';
import type { ControlPlaneStart } from './contract/process.ts';
import { GATEHOUSE_VERSION, PUBLISHED_VERSION } from './contract/version.ts';
import type { Settings } from './settings/settings.ts';
import type { MakeCertificate } from './supervise/fallback-certificate.ts';

const HELP = `gatehouse: one login in front of all your applications

usage: gatehouse <command>

  serve               start the identity server and its embedded outpost
      --workers <n>   processes that answer visitors; 0 = everything in one process
      --demo          also start a sample application, with two people to sign in as
  outpost             start an outpost of its own, near its applications, for the server AUTHENTIK_HOST names
      --workers <n>   as for serve
  healthcheck         say whether the server or outpost on this machine is connected, configured and serving;
                      ends with 1 when visitors should not be sent there
  config <proxy>      write the configuration of a reverse proxy for a provider; <proxy> is one of
                      nginx, ingress-nginx, traefik, traefik-labels, traefik-kubernetes, caddy, envoy, haproxy
      --provider <name>      the provider, as it is called on the server
      --outpost-url <url>    where the proxy reaches Gatehouse (http://localhost:9000)
      --upstream <url>       where the proxy reaches the application (the internal host of the provider)
      --host <host>          host of the application, for a provider at domain level
  manifest <platform>        write what runs an outpost of its own, with its token; <platform> is compose or kubernetes
      --outpost <name>       the outpost, as it is called on the server
      --server <url>         where the outpost reaches the server (authentik_host of its configuration)
      --image <name>         the image to run
  explain <method> <url>     say what would be answered, and which rule decides
      --as <user>            as a person who is signed in; without it, as nobody
      --provider <name>      the provider, when several could be meant
  settings            show the settings in effect, secrets masked
  version             show the version
  help                show this

Settings are environment variables: docs/reference/settings.md
Commands that ask the server need GATEHOUSE_TOKEN, and GATEHOUSE_HOST where it runs elsewhere: docs/reference/commands.md
`;

/** The command line cannot be understood; the message says why. */
class Misused extends Error {}

type Flags = NonNullable<ParseArgsConfig['options']>;
interface Command {
  flags: Flags;
  /** what stands after the command without a flag: names for messages, all needed */
  words?: readonly string[];
  /** @returns exit code */
  run: (flags: Readonly<Record<string, unknown>>, words: readonly string[]) => Promise<number>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  serve: { flags: { workers: { type: 'string' }, demo: { type: 'boolean' } }, run: serveCommand },
  outpost: { flags: { workers: { type: 'string' } }, run: outpostCommand },
  healthcheck: { flags: {}, run: healthcheckCommand },
  config: {
    flags: {
      provider: { type: 'string' },
      'outpost-url': { type: 'string' },
      upstream: { type: 'string' },
      host: { type: 'string' },
    },
    words: ['proxy'],
    run: configCommand,
  },
  manifest: {
    flags: { outpost: { type: 'string' }, server: { type: 'string' }, image: { type: 'string' } },
    words: ['platform'],
    run: manifestCommand,
  },
  explain: {
    flags: { as: { type: 'string' }, provider: { type: 'string' } },
    words: ['method', 'url'],
    run: explainCommand,
  },
  settings: { flags: {}, run: settingsCommand },
  version: {
    flags: {},
    run: async () => print(`gatehouse ${GATEHOUSE_VERSION} (speaks the published contract of ${PUBLISHED_VERSION})\n`),
  },
  help: { flags: {}, run: async () => print(HELP) },
};

const SPELLINGS: Readonly<Record<string, string>> = {
  '--help': 'help',
  '-h': 'help',
  '--version': 'version',
  '-v': 'version',
};

async function serveCommand(flags: Readonly<Record<string, unknown>>): Promise<number> {
  const { moduleUrl } = await import('./supervise/fork.ts');
  if (!existsSync(moduleUrl('server/control-plane-main'))) {
    throw new CodedError(
      'outpost-only',
      500,
      'This installation holds the outpost only, not the identity server. Start the outpost, or use the image of the server.',
    );
  }
  const { loadSettings } = await import('./settings/load.ts');
  const { settings, notes } = loadSettings(process.env);
  if (typeof flags['workers'] === 'string') settings.workers = await workersFlag(flags['workers']);
  for (const note of notes) process.stderr.write(`gatehouse: ${note}\n`);
  const { serve } = await import('./supervise/serve.ts');
  const { startDemo } = flags['demo'] === true ? await import('./demo/demo.ts') : {};
  return serve(settings, {
    makeCertificate,
    ...(startDemo !== undefined && { startDemo }),
    ...(settings.workers === 0 && { runControlPlane }),
  });
}

async function outpostCommand(flags: Readonly<Record<string, unknown>>): Promise<number> {
  const { loadSettings } = await import('./settings/load.ts');
  const { settings, notes } = loadSettings(process.env, 'outpost');
  if (typeof flags['workers'] === 'string') settings.workers = await workersFlag(flags['workers']);
  for (const note of notes) process.stderr.write(`gatehouse: ${note}\n`);
  const { workersOf } = await import('./supervise/start-workers.ts');
  const workers = workersOf(settings.workers, true);
  const { standalone } = await import('./supervise/standalone.ts');
  return standalone(settings, {
    workers,
    makeCertificate,
    say: (sentence) => process.stderr.write(`gatehouse: ${sentence}\n`),
  });
}

async function healthcheckCommand(): Promise<number> {
  const [{ loadSettings }, { checkHealth }] = await Promise.all([
    import('./settings/load.ts'),
    import('./commands/healthcheck.ts'),
  ]);
  const { well, sentence } = await checkHealth(loadSettings(process.env).settings);
  print(`${sentence}\n`);
  return well ? 0 : 1;
}

/** For names no other certificate fits. Loaded at a first start only. */
const makeCertificate: MakeCertificate = async (wish) => (await import('./certificates/make.ts')).makeCertificate(wish);

/** The control plane inside this process, for `--workers 0`: only the command line may know it. */
async function runControlPlane(start: ControlPlaneStart<Settings>) {
  const [{ pino }, { logFormat }, { startControlPlane }] = await Promise.all([
    import('pino'),
    import('./contract/log-format.ts'),
    import('./server/control-plane.ts'),
  ]);
  return startControlPlane({ ...start, log: pino(logFormat(start.settings.logLevel, 'control-plane')) });
}

async function workersFlag(raw: string): Promise<number | undefined> {
  const { Unusable, workers } = await import('./settings/parse.ts');
  try {
    return workers(raw);
  } catch (error) {
    if (error instanceof Unusable) throw new Misused(`--workers ${error.message}`);
    throw error;
  }
}

async function configCommand(flags: Readonly<Record<string, unknown>>, [target = '']: readonly string[]) {
  const { isTarget, TARGETS } = await import('./commands/config/targets.ts');
  if (!isTarget(target)) throw new Misused(`config: <proxy> must be one of ${Object.keys(TARGETS).join(', ')}`);
  const provider = textFlag(flags, 'provider');
  if (provider === undefined) throw new Misused('config: --provider <name> is missing');
  const [{ loadSettings }, { configText }] = await Promise.all([
    import('./settings/load.ts'),
    import('./commands/config/config.ts'),
  ]);
  return print(
    await configText(loadSettings(process.env).settings, {
      target,
      provider,
      outpostUrl: textFlag(flags, 'outpost-url'),
      upstream: textFlag(flags, 'upstream'),
      host: textFlag(flags, 'host'),
    }),
  );
}

async function manifestCommand(flags: Readonly<Record<string, unknown>>, [platform = '']: readonly string[]) {
  const { isPlatform, manifestText, PLATFORMS } = await import('./commands/manifest/manifest.ts');
  if (!isPlatform(platform)) {
    throw new Misused(`manifest: <platform> must be one of ${Object.keys(PLATFORMS).join(', ')}`);
  }
  const outpost = textFlag(flags, 'outpost');
  if (outpost === undefined) throw new Misused('manifest: --outpost <name> is missing');
  const { loadSettings } = await import('./settings/load.ts');
  const [server, image] = [textFlag(flags, 'server'), textFlag(flags, 'image')];
  return print(await manifestText(loadSettings(process.env).settings, { platform, outpost, server, image }));
}

async function explainCommand(flags: Readonly<Record<string, unknown>>, [method = '', url = '']: readonly string[]) {
  const [{ loadSettings }, { explainText }] = await Promise.all([
    import('./settings/load.ts'),
    import('./commands/explain.ts'),
  ]);
  const [user, provider] = [textFlag(flags, 'as'), textFlag(flags, 'provider')];
  return print(await explainText(loadSettings(process.env).settings, { method, url, user, provider }));
}

function textFlag(flags: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = flags[name];
  return typeof value === 'string' ? value : undefined;
}

async function settingsCommand(): Promise<number> {
  const { loadSettings } = await import('./settings/load.ts');
  const { effective, notes } = loadSettings(process.env);
  const width = Math.max(...effective.map(({ variable }) => variable.length));
  for (const { variable, shown, given } of effective) {
    print(`${variable.padEnd(width)}  ${shown === '' ? '(none)' : shown}${given ? '' : '  (default)'}\n`);
  }
  for (const note of notes) print(`${note}\n`);
  return 0;
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

async function main(args: readonly string[]): Promise<number> {
  const [first = 'help', ...rest] = args;
  const name = SPELLINGS[first] ?? first;
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw new Misused(`there is no command ${JSON.stringify(first)}`);
  if (rest.some((word) => word === '--help' || word === '-h')) return print(HELP);
  const { values, positionals } = argumentsOf(name, command.flags, rest);
  const words = command.words ?? [];
  const extra = positionals[words.length];
  if (extra !== undefined) throw new Misused(`${name}: Unexpected argument '${extra}'`);
  const missing = words[positionals.length];
  if (missing !== undefined) throw new Misused(`${name}: <${missing}> is missing`);
  return command.run(values, positionals);
}

function argumentsOf(name: string, options: Flags, args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
  } catch (error) {
    // Its first sentence is about the flag; what follows explains how to write odd arguments.
    if (error instanceof TypeError) throw new Misused(`${name}: ${error.message.split('. ')[0] ?? ''}`);
    throw error;
  }
}

/** Says what went wrong. @returns exit code */
function explain(error: unknown): number {
  const say = (text: string) => process.stderr.write(`gatehouse: ${text}\n`);
  if (error instanceof Misused) {
    say(`${error.message}. Commands and flags: gatehouse help`);
    return 2;
  }
  if (error instanceof InvalidInput) {
    say('nothing was started, because of these settings:');
    for (const [field, messages] of Object.entries(error.fields))
      process.stderr.write(`  ${field}: ${messages.join(' ')}\n`);
    process.stderr.write('All settings: docs/reference/settings.md\n');
    return 1;
  }
  if (error instanceof CodedError) {
    say(`${error.message} [${error.code}]`);
    return 1;
  }
  const level = process.env['GATEHOUSE_LOG_LEVEL'] ?? process.env['AUTHENTIK_LOG_LEVEL'];
  const detail = level === 'debug' || level === 'trace';
  say('an unexpected error stopped it [internal-error]. GATEHOUSE_LOG_LEVEL=debug shows where; please report it.');
  if (detail) console.error(error);
  return 1;
}

const code = await main(process.argv.slice(2)).catch(explain);
// Whatever a command left open must not keep a finished process alive.
process.exit(code);
