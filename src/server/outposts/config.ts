/** An outpost's `config`: known keys and their types; it is kept and given back exactly as it came (spec/server.md 6.1). */
import { parseDuration } from '../../contract/durations.ts';
import type { Settings } from '../../settings/settings.ts';

export type OutpostConfigInput = Record<string, unknown>;

/**
 * Every published key with its default.
 * @param host address of the server, or empty
 */
export function defaultConfig(host: string, logLevel: Settings['logLevel']): OutpostConfigInput {
  return {
    authentik_host: host,
    authentik_host_insecure: false,
    authentik_host_browser: '',
    log_level: logLevel,
    object_naming_template: 'ak-outpost-%(name)s',
    refresh_interval: 'minutes=5',
    container_image: null,
    docker_network: null,
    docker_map_ports: true,
    docker_labels: null,
    kubernetes_replicas: 1,
    kubernetes_namespace: 'default',
    kubernetes_ingress_annotations: {},
    kubernetes_ingress_secret_name: 'authentik-outpost-tls',
    kubernetes_ingress_class_name: null,
    kubernetes_ingress_path_type: null,
    kubernetes_httproute_annotations: {},
    kubernetes_httproute_parent_refs: [],
    kubernetes_service_type: 'ClusterIP',
    kubernetes_disabled_components: [],
    kubernetes_image_pull_secrets: [],
    kubernetes_json_patches: null,
  };
}

type Check = readonly [means: string, holds: (value: unknown) => boolean];

const text: Check = ['text', (v) => typeof v === 'string'];
const flag: Check = ['true or false', (v) => typeof v === 'boolean'];
const list: Check = ['a list', Array.isArray];
const object: Check = ['an object', (v) => typeof v === 'object' && v !== null && !Array.isArray(v)];
const nullable = ([means, holds]: Check): Check => [`${means} or null`, (v) => v === null || holds(v)];
const address: Check = [
  'empty, or an address such as https://auth.example.com/',
  (v) => v === '' || (typeof v === 'string' && isAddress(v)),
];

const CHECKS: Readonly<Record<string, Check>> = {
  authentik_host: address,
  authentik_host_browser: address,
  authentik_host_insecure: flag,
  log_level: [
    'trace, debug, info, warning or error',
    (v) => ['trace', 'debug', 'info', 'warning', 'warn', 'error'].includes(String(v)),
  ],
  object_naming_template: text,
  refresh_interval: ['a duration such as minutes=5', (v) => typeof v === 'string' && parseDuration(v) !== undefined],
  container_image: nullable(text),
  docker_network: nullable(text),
  docker_map_ports: flag,
  docker_labels: nullable(object),
  kubernetes_replicas: ['a whole number from 0', (v) => Number.isInteger(v) && Number(v) >= 0],
  kubernetes_namespace: text,
  kubernetes_ingress_annotations: object,
  kubernetes_ingress_secret_name: text,
  kubernetes_ingress_class_name: nullable(text),
  kubernetes_ingress_path_type: nullable(text),
  kubernetes_httproute_annotations: object,
  kubernetes_httproute_parent_refs: list,
  kubernetes_service_type: text,
  kubernetes_disabled_components: list,
  kubernetes_image_pull_secrets: list,
  kubernetes_json_patches: nullable(object),
};

/** @returns one sentence per problem. Keys nobody knows are kept: later releases have more. */
export function configProblems(config: OutpostConfigInput): string[] {
  return Object.entries(config).flatMap(([key, value]) => {
    const check = Object.hasOwn(CHECKS, key) ? CHECKS[key] : undefined;
    return check === undefined || check[1](value) ? [] : [`${key}: must be ${check[0]}.`];
  });
}

/** Whole seconds between two fetches of the configuration, at least 30 as outposts use it. */
export function refreshIntervalSeconds(config: OutpostConfigInput): number {
  const value = config['refresh_interval'];
  const ms = (typeof value === 'string' ? parseDuration(value) : undefined) ?? 300_000;
  return ms <= 0 ? 300 : Math.max(30, Math.round(ms / 1000));
}

function isAddress(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const url = new URL(value);
  return /^https?:$/.test(url.protocol) && url.username === '' && url.search === '' && url.hash === '';
}
