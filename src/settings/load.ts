/** From environment variables to {@link Settings}. */
import { readFileSync } from 'node:fs';
import { InvalidInput } from '../contract/errors.ts';
import { nearest } from './nearest.ts';
import { Unusable } from './parse.ts';
import { SETTINGS, WITHOUT_EFFECT, type Setting } from './schema.ts';
import type { Settings } from './settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** One setting as it is in effect; secrets are masked. */
export interface EffectiveSetting {
  /** the variable it came from, or the one that would set it */
  variable: string;
  given: boolean;
  shown: string;
}

export interface LoadedSettings {
  settings: Settings;
  /** sentences worth saying once at start */
  notes: string[];
  effective: EffectiveSetting[];
}

type Values = { [K in keyof typeof SETTINGS]: ReturnType<(typeof SETTINGS)[K]['parse']> };

/**
 * Reads every setting.
 * @param env the environment of the process
 * @param program an outpost of its own needs an address and a token, and nothing that only the server reads
 * @throws InvalidInput with every problem at once, by variable name; no value is in it, values may be secret
 */
export function loadSettings(env: Environment, program: 'server' | 'outpost' = 'server'): LoadedSettings {
  const problems: Record<string, string[]> = {};
  const effective: EffectiveSetting[] = [];
  const values: Record<string, unknown> = {};
  const idle: string[] = [];
  for (const [key, setting] of Object.entries<Setting<unknown>>(SETTINGS)) {
    const variable = chosenVariable(setting, env);
    try {
      const raw = variable === undefined ? undefined : resolve(env[variable] ?? '', env);
      const given = raw !== undefined && (raw !== '' || setting.emptyCounts);
      const text = given ? raw : setting.fallback;
      values[key] = setting.parse(text);
      if (program === 'outpost' && text === '' && setting.neededByOutpost) {
        problems[variablesOf(setting)[0]] = [missing(setting)];
      }
      if (program === 'outpost' && given && setting.used === 'server') idle.push(variable ?? '');
      const shown = setting.secret && text !== '' ? '********' : text;
      effective.push({ variable: variable ?? variablesOf(setting)[0], given, shown });
    } catch (error) {
      if (!(error instanceof Unusable)) throw error;
      problems[variable ?? setting.name] = [`${error.message}.`];
    }
  }
  const { unknown, withoutEffect } = otherVariables(env);
  Object.assign(problems, unknown);
  if (Object.keys(problems).length > 0) throw new InvalidInput(problems);
  const useless = [...withoutEffect, ...idle].sort();
  const notes = useless.length > 0 ? [`These variables have no effect here: ${useless.join(', ')}.`] : [];
  return { settings: arrange(values as Values), notes, effective };
}

const missing = (setting: Setting<unknown>) =>
  `is missing (${variablesOf(setting).slice(1).join(', ')} does as well). ${setting.about}`;

/** Names a setting is read from, the stronger first. */
export function variablesOf(setting: Pick<Setting<unknown>, 'name' | 'own'>): [string, ...string[]] {
  return setting.own ? [`GATEHOUSE_${setting.name}`] : [`GATEHOUSE_${setting.name}`, `AUTHENTIK_${setting.name}`];
}

const chosenVariable = (setting: Setting<unknown>, env: Environment) =>
  variablesOf(setting).find((variable) => env[variable] !== undefined);

/**
 * Follows `env://NAME?fallback` and `file:///path?fallback` (spec/outpost.md 1.3). Where the original falls back to
 * an empty value or the raw text, we refuse: a mistyped path must not become a password.
 */
function resolve(raw: string, env: Environment): string {
  const [, scheme, source = '', fallback] = /^(env|file):\/\/([^?]*)(?:\?(.*))?$/s.exec(raw) ?? [];
  if (scheme === undefined) return raw;
  const value = scheme === 'env' ? env[source] : fileText(source);
  if (value !== undefined) return value;
  if (fallback !== undefined) return fallback;
  throw new Unusable(
    scheme === 'env'
      ? `points to the variable ${source}, which is not set`
      : `points to the file ${source}, which cannot be read`,
  );
}

function fileText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** What Kubernetes and container links put into the environment for a service of our name. */
const SERVICE_LINK =
  /^(AUTHENTIK|GATEHOUSE)_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP)(_(ADDR|PORT|PROTO))?)?)$/;

/** Variables with one of our prefixes that set nothing. */
function otherVariables(env: Environment) {
  const known = Object.values<Setting<unknown>>(SETTINGS).flatMap(variablesOf);
  const withoutEffect: string[] = [];
  const unknown: Record<string, string[]> = {};
  for (const variable of Object.keys(env).sort()) {
    if (!/^(AUTHENTIK|GATEHOUSE)_/.test(variable) || known.includes(variable)) continue;
    const name = variable.replace('AUTHENTIK_', '');
    if (WITHOUT_EFFECT.some((entry) => (entry.endsWith('_') ? name.startsWith(entry) : name === entry))) {
      withoutEffect.push(variable);
    } else if (!SERVICE_LINK.test(variable)) {
      const suggestion = nearest(variable, known);
      unknown[variable] = [
        `there is no such setting.${suggestion === undefined ? '' : ` Did you mean ${suggestion}?`}`,
      ];
    }
  }
  return { unknown, withoutEffect };
}

function arrange(v: Values): Settings {
  return {
    listen: {
      http: v.http,
      https: v.https,
      metrics: v.metrics,
      trustedProxyCidrs: v.trustedProxyCidrs,
      strictPeers: v.strictPeers,
    },
    data: v.data,
    workers: v.workers,
    logLevel: v.logLevel,
    webPath: v.webPath,
    secretKey: v.secretKey,
    cookieDomain: v.cookieDomain,
    bootstrap: { password: v.bootstrapPassword, token: v.bootstrapToken, email: v.bootstrapEmail },
    disableEmbeddedOutpost: v.disableEmbeddedOutpost,
    outpost: { host: v.host, token: v.token, insecure: v.insecure, hostBrowser: v.hostBrowser },
    timeouts: { readHeader: v.readHeader, read: v.read, write: v.write, idle: v.idle },
    stopDelay: v.stopDelay,
    logHttpHeaders: v.logHttpHeaders,
  };
}
