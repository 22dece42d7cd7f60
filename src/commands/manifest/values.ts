/** What a manifest is made of: the outpost as the server tells it, brought into names other programs take. */
import { GATEHOUSE_VERSION } from '../../contract/version.ts';
import type { ProviderMode } from '../../contract/api.ts';
import { CodedError } from '../../contract/errors.ts';
import { forComment } from '../config/values.ts';
import type { Yaml, YamlObject } from './yaml.ts';

/** An outpost and how it is to run. Texts may hold anything: they are quoted when they are written. */
export interface ManifestValues {
  /** for comments */
  title: string;
  /** for objects: lower-case letters, digits and single `-`, at most 63 */
  name: string;
  /** without dashes */
  uuid: string;
  /** the outpost's own name as a label of Kubernetes takes it */
  labelName: string;
  /** where the outpost reaches the identity server */
  host: string;
  /** where browsers do, when that is another address; empty = the same */
  hostBrowser: string;
  insecure: boolean;
  token: string;
  image: string;
  /** hosts it serves, without ports; each once for a mode */
  hosts: readonly ServedHost[];
  docker: { network: string | undefined; mapPorts: boolean; labels: YamlObject };
  kubernetes: {
    replicas: number;
    namespace: string;
    serviceType: string;
    pullSecrets: readonly string[];
    ingress: { annotations: YamlObject; secret: string; className: string | undefined; pathType: string };
    /** names of components left out, as published: `ingress`, `traefik middleware`, ... */
    disabled: ReadonlySet<string>;
  };
}

export interface ServedHost {
  host: string;
  /** everything on this host goes to the outpost, not only its own paths */
  whole: boolean;
}

/** What is built from the Dockerfile, under the names the files of deploy/ use. */
export const SERVER_IMAGE = `gatehouse:${GATEHOUSE_VERSION}`;
export const OUTPOST_IMAGE = `gatehouse-outpost:${GATEHOUSE_VERSION}`;

/** The ports of both images (spec/outpost.md 1.2). */
export const PORTS = { http: 9000, https: 9443, metrics: 9300 } as const;
/** The user both images run as. */
export const UID = 1000;
/** The folder that must survive a restart, in both images. */
export const DATA = '/data';

export interface OutpostFacts {
  name: string;
  /** uuid */
  pk: string;
  config: Readonly<Record<string, unknown>>;
  token: string;
  providers: readonly { mode: ProviderMode; external_host: string }[];
}

export interface ManifestWishes {
  /** where the outpost reaches the server; undefined = what its configuration says */
  server: string | undefined;
  image: string | undefined;
}

/** @throws CodedError `manifest-address` while nobody has said where the outpost finds its server */
export function manifestValues(outpost: OutpostFacts, wishes: ManifestWishes): ManifestValues {
  const { config } = outpost;
  const uuid = outpost.pk.replaceAll('-', '').toLowerCase();
  const host = wishes.server ?? textOf(config['authentik_host']);
  if (host === '') {
    throw new CodedError(
      'manifest-address',
      400,
      'Nobody has said where this outpost finds the server: set authentik_host in its configuration, or add --server <url>.',
    );
  }
  const template = textOf(config['object_naming_template']) || 'ak-outpost-%(name)s';
  const replicas = config['kubernetes_replicas'];
  return {
    title: forComment(outpost.name),
    name: objectName(template.replaceAll('%(name)s', outpost.name).replaceAll('%(uuid)s', uuid)),
    uuid,
    labelName: labelValue(outpost.name),
    host,
    hostBrowser: textOf(config['authentik_host_browser']),
    insecure: config['authentik_host_insecure'] === true,
    token: outpost.token,
    image: wishes.image ?? (textOf(config['container_image']) || OUTPOST_IMAGE),
    hosts: servedHosts(outpost.providers),
    docker: {
      network: textOf(config['docker_network']) || undefined,
      mapPorts: config['docker_map_ports'] !== false,
      labels: textsOf(config['docker_labels']),
    },
    kubernetes: {
      replicas: typeof replicas === 'number' ? replicas : 1,
      namespace: textOf(config['kubernetes_namespace']) || 'default',
      serviceType: textOf(config['kubernetes_service_type']) || 'ClusterIP',
      pullSecrets: listOf(config['kubernetes_image_pull_secrets']),
      ingress: {
        annotations: textsOf(config['kubernetes_ingress_annotations']),
        secret: textOf(config['kubernetes_ingress_secret_name']) || 'authentik-outpost-tls',
        className: textOf(config['kubernetes_ingress_class_name']) || undefined,
        pathType: textOf(config['kubernetes_ingress_path_type']) || 'Prefix',
      },
      disabled: new Set(listOf(config['kubernetes_disabled_components'])),
    },
  };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value.trim() : '');
const listOf = (value: unknown): string[] => (Array.isArray(value) ? value.filter((v) => typeof v === 'string') : []);

/** Labels and annotations are text to both programs. */
function textsOf(value: unknown): YamlObject {
  if (typeof value !== 'object' || value === null) return {};
  const entries = Object.entries(value).map(([key, entry]): [string, Yaml] => [
    key,
    typeof entry === 'string' ? entry : (JSON.stringify(entry) ?? ''),
  ]);
  return Object.fromEntries(entries);
}

/** A name as DNS labels are (RFC 1123), which containers take too. */
const objectName = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '') || 'ak-outpost';

const labelValue = (name: string): string =>
  name
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .slice(0, 63)
    .replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '');

/** Host names only: an address of numbers is no name a router or an ingress could be told. */
function servedHosts(providers: OutpostFacts['providers']): ServedHost[] {
  const whole = new Map<string, boolean>();
  for (const { mode, external_host } of providers) {
    const host = URL.parse(external_host)?.hostname ?? '';
    if (!/^[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?$/.test(host) || /^[\d.]+$/.test(host)) continue;
    whole.set(host, (whole.get(host) ?? false) || mode === 'proxy');
  }
  return [...whole].map(([host, all]) => ({ host, whole: all })).sort((a, b) => (a.host < b.host ? -1 : 1));
}
