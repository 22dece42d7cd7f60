/** The whole set-ups of deploy/: a server, an outpost and an application, as compose file and as manifests. */
import {
  composeManifest,
  forwardAuthLabels,
  HARDENED,
  healthcheck,
  literal,
} from '../src/commands/manifest/compose.ts';
import {
  BUFFERS,
  CONTAINER,
  kubernetesManifest,
  POD,
  SCRATCH,
  SERVICE_PORTS,
} from '../src/commands/manifest/kubernetes.ts';
import { DATA, manifestValues, OUTPOST_IMAGE, PORTS, SERVER_IMAGE } from '../src/commands/manifest/values.ts';
import type { ManifestValues } from '../src/commands/manifest/values.ts';
import { Comment, documents, yaml } from '../src/commands/manifest/yaml.ts';
import type { YamlObject } from '../src/commands/manifest/yaml.ts';
import { OUTPOST_PREFIX, QUESTION_PATH } from '../src/contract/paths.ts';

const SERVER_HOST = 'auth.company';
const APPLICATION_HOST = 'whoami.company';

/** An outpost as `gatehouse manifest` is told of it by a server, with one application. */
const example = (): ManifestValues =>
  manifestValues(
    {
      name: 'Example outpost',
      pk: '00000000-0000-4000-8000-000000000000',
      config: { authentik_host: `https://${SERVER_HOST}/` },
      token: 'token-generated-by-gatehouse',
      providers: [{ mode: 'forward_single', external_host: `https://${APPLICATION_HOST}` }],
    },
    { server: undefined, image: undefined },
  );

const built = (target: string): YamlObject => ({ context: '../..', target });

const hostRouter = (name: string, rule: string, more: YamlObject = {}): YamlObject => ({
  'traefik.enable': 'true',
  [`traefik.http.routers.${name}.rule`]: rule,
  [`traefik.http.routers.${name}.entrypoints`]: 'websecure',
  [`traefik.http.routers.${name}.tls`]: 'true',
  ...more,
});

/** Traefik, the server, an outpost beside an application (the published compose file, in today's versions). */
function composeSite(): string {
  return yaml({
    about: new Comment(
      'Gatehouse behind Traefik, with an outpost of its own in front of a sample application: docs/guides/docker.md',
      `Put your names in place of ${SERVER_HOST} and ${APPLICATION_HOST}, and certificates into Traefik.`,
      '',
      '1. docker compose up -d traefik gatehouse; docker compose logs gatehouse shows the set-up link.',
      '2. Make the provider, the application and the outpost; put its token into .env: GATEHOUSE_OUTPOST_TOKEN=...',
      '3. docker compose up -d',
    ),
    services: {
      traefik: {
        image: 'traefik:v3',
        restart: 'unless-stopped',
        read_only: true,
        security_opt: ['no-new-privileges:true'],
        command: [
          '--providers.docker=true',
          '--providers.docker.exposedByDefault=false',
          '--entrypoints.web.address=:80',
          '--entrypoints.web.http.redirections.entrypoint.to=websecure',
          '--entrypoints.web.http.redirections.entrypoint.scheme=https',
          '--entrypoints.websecure.address=:443',
        ],
        ports: ['80:80', '443:443'],
        volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro'],
        alias: new Comment('The outpost reaches the server as browsers do: under its public name, through Traefik.'),
        networks: { default: { aliases: [SERVER_HOST] } },
      },
      gatehouse: {
        image: literal(SERVER_IMAGE),
        build: built('server'),
        ...HARDENED,
        healthcheck,
        volumes: [`server:${DATA}`],
        labels: {
          ...hostRouter('gatehouse', `Host(\`${SERVER_HOST}\`)`),
          'traefik.http.services.gatehouse.loadbalancer.server.port': String(PORTS.http),
        },
      },
      outpost: {
        image: literal(OUTPOST_IMAGE),
        build: built('outpost'),
        ...HARDENED,
        environment: {
          AUTHENTIK_HOST: `https://${SERVER_HOST}/`,
          insecure: new Comment('"true" only for a first try, while Traefik shows a certificate nobody signed.'),
          AUTHENTIK_INSECURE: 'false',
          AUTHENTIK_TOKEN: '${GATEHOUSE_OUTPOST_TOKEN:-}',
        },
        healthcheck,
        volumes: [`outpost:${DATA}`],
        labels: {
          paths: new Comment("Paths of the outpost need no login. The rest of the host is the application's, below."),
          ...hostRouter(
            'outpost',
            `Host(\`${APPLICATION_HOST}\`) && PathPrefix(\`${OUTPOST_PREFIX}/\`) && !PathPrefix(\`${OUTPOST_PREFIX}${QUESTION_PATH}\`)`,
            { 'traefik.http.routers.outpost.priority': '15' },
          ),
          'traefik.http.services.outpost.loadbalancer.server.port': String(PORTS.http),
          ...forwardAuthLabels('traefik.http.middlewares.gatehouse.forwardauth', `http://outpost:${PORTS.http}`),
        },
      },
      whoami: {
        image: 'traefik/whoami',
        restart: 'unless-stopped',
        read_only: true,
        cap_drop: ['ALL'],
        cap_add: ['NET_BIND_SERVICE'],
        security_opt: ['no-new-privileges:true'],
        labels: hostRouter('whoami', `Host(\`${APPLICATION_HOST}\`)`, {
          'traefik.http.routers.whoami.priority': '10',
          'traefik.http.routers.whoami.middlewares': 'gatehouse@docker',
        }),
      },
    },
    volumes: { server: {}, outpost: {} },
  });
}

const SERVER_LABELS: YamlObject = { 'app.kubernetes.io/name': 'gatehouse', 'app.kubernetes.io/component': 'server' };
const serverMetadata = (more: YamlObject = {}): YamlObject => ({
  name: 'gatehouse',
  namespace: 'default',
  labels: SERVER_LABELS,
  ...more,
});

/** The identity server: one pod, since one process writes its database. */
function kubernetesServer(): string {
  return documents([
    {
      about: new Comment(
        'Gatehouse, identity server and embedded outpost: docs/guides/kubernetes.md',
        `Put your name in place of ${SERVER_HOST}, and an image your cluster can fetch.`,
      ),
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: serverMetadata(),
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '5Gi' } } },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: serverMetadata(),
      spec: {
        one: new Comment(
          'One process writes the database: never more, and the old one ends before the new one starts.',
        ),
        replicas: 1,
        strategy: { type: 'Recreate' },
        selector: { matchLabels: SERVER_LABELS },
        template: {
          metadata: { labels: SERVER_LABELS },
          spec: {
            ...POD,
            containers: [
              {
                name: 'gatehouse',
                image: SERVER_IMAGE,
                ...CONTAINER,
                resources: { requests: { cpu: '250m', memory: '384Mi' }, limits: { memory: '1Gi' } },
              },
            ],
            volumes: [SCRATCH, { name: 'data', persistentVolumeClaim: { claimName: 'gatehouse' } }],
          },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: serverMetadata(),
      spec: { type: 'ClusterIP', selector: SERVER_LABELS, ports: SERVICE_PORTS },
    },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: serverMetadata({ annotations: BUFFERS }),
      spec: {
        rules: [
          {
            host: SERVER_HOST,
            http: {
              paths: [
                { path: '/', pathType: 'Prefix', backend: { service: { name: 'gatehouse', port: { name: 'http' } } } },
              ],
            },
          },
        ],
        tls: [{ hosts: [SERVER_HOST], secretName: 'gatehouse-tls' }],
      },
    },
  ]);
}

/** Every file with its text. */
export const siteFiles = (): Map<string, string> =>
  new Map([
    ['deploy/compose/compose.yaml', composeSite()],
    ['deploy/compose/outpost.yaml', composeManifest(example())],
    ['deploy/kubernetes/server.yaml', kubernetesServer()],
    ['deploy/kubernetes/outpost.yaml', kubernetesManifest(example())],
  ]);
