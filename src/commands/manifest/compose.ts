/** `gatehouse manifest compose`: an outpost as a compose file (names and labels: spec/outpost.md 21, spec/server.md 6.6). */
import { OUTPOST_PREFIX, QUESTION_PATH } from '../../contract/paths.ts';
import { answerHeaders, answerHeadersRegex } from '../config/traefik-parts.ts';
import { DATA, PORTS } from './values.ts';
import type { ManifestValues } from './values.ts';
import { Comment, yaml } from './yaml.ts';
import type { Yaml, YamlObject } from './yaml.ts';

/** @returns a compose file that holds the outpost's token */
export function composeManifest(values: ManifestValues): string {
  const { name, title, docker } = values;
  return yaml({
    about: new Comment(
      `Gatehouse: the outpost ${title}. It holds the outpost's token: keep this file as private as a password.`,
      'To use it: docker compose -f this-file up -d',
    ),
    services: { [name]: outpostService(values) },
    volumes: { data: {} },
    ...(docker.network === undefined ? {} : { networks: { [docker.network]: { external: true } } }),
  });
}

function outpostService(values: ManifestValues): YamlObject {
  const { name, image, host, hostBrowser, insecure, token, docker } = values;
  return {
    image: literal(image),
    container_name: name,
    ...HARDENED,
    environment: {
      AUTHENTIK_HOST: literal(host),
      AUTHENTIK_INSECURE: String(insecure),
      AUTHENTIK_TOKEN: literal(token),
      ...(hostBrowser === '' ? {} : { AUTHENTIK_HOST_BROWSER: literal(hostBrowser) }),
    },
    ...(docker.mapPorts ? { ports: [`${PORTS.http}:${PORTS.http}`, `${PORTS.https}:${PORTS.https}`] } : {}),
    ...(docker.network === undefined ? {} : { networks: [literal(docker.network)] }),
    healthcheck,
    volumes: [`data:${DATA}`],
    labels: { 'io.goauthentik.outpost-uuid': values.uuid, ...traefikLabels(values), ...literals(docker.labels) },
  };
}

/** Asks the process itself; its images say the same. */
export const healthcheck: YamlObject = {
  test: ['CMD', 'node', '/app/dist/main.js', 'healthcheck'],
  interval: '10s',
  timeout: '5s',
  start_period: '30s',
  retries: 6,
};

/** What any of our containers may do: nothing but listen, and write into its data folder. */
export const HARDENED: YamlObject = {
  restart: 'unless-stopped',
  read_only: true,
  tmpfs: ['/tmp'],
  cap_drop: ['ALL'],
  security_opt: ['no-new-privileges:true'],
};

/** Compose replaces `$NAME` in every value; a dollar sign that is one is written twice. */
export const literal = (text: string): string => text.replaceAll('$', '$$$$');

const literals = (values: YamlObject): YamlObject =>
  Object.fromEntries(
    Object.entries(values).map(([key, value]): [string, Yaml | undefined] => [
      key,
      typeof value === 'string' ? literal(value) : value,
    ]),
  );

/** Routers for what the outpost answers itself, and the middleware that asks it about other routers. */
function traefikLabels({ name, hosts }: ManifestValues): YamlObject {
  const middleware = `traefik.http.middlewares.${name}.forwardauth`;
  const all = hosts.map(({ host }) => host);
  const whole = hosts.filter((served) => served.whole).map(({ host }) => host);
  return {
    'traefik.enable': 'true',
    ...(all.length === 0 ? {} : router(`${name}-router`, name, `(${anyOf(all)}) && ${OWN_PATHS}`)),
    ...(whole.length === 0 ? {} : router(`${name}-proxy-router`, name, anyOf(whole))),
    [`traefik.http.services.${name}-service.loadbalancer.server.port`]: String(PORTS.http),
    [`traefik.http.services.${name}-service.loadbalancer.healthcheck.path`]: `${OUTPOST_PREFIX}/ping`,
    [`traefik.http.services.${name}-service.loadbalancer.healthcheck.port`]: String(PORTS.metrics),
    middleware: new Comment(
      `For applications that keep their own router: its label "middlewares" names ${name}@docker.`,
      'Headers of your own (additionalHeaders, presets) join the list of headers.',
    ),
    ...forwardAuthLabels(middleware, `http://${name}:${PORTS.http}`),
  };
}

/** @param at beginning of the labels' names @param origin the outpost as Traefik reaches it */
export const forwardAuthLabels = (at: string, origin: string): YamlObject => ({
  [`${at}.address`]: `${origin}${OUTPOST_PREFIX}${QUESTION_PATH}/traefik?strip-cookies`,
  [`${at}.trustForwardHeader`]: 'false',
  [`${at}.authResponseHeaders`]: answerHeaders({ headers: [] }).join(','),
  [`${at}.authResponseHeadersRegex`]: literal(answerHeadersRegex({ headers: [] })),
});

const router = (name: string, service: string, rule: string): YamlObject => ({
  [`traefik.http.routers.${name}.rule`]: rule,
  [`traefik.http.routers.${name}.tls`]: 'true',
  [`traefik.http.routers.${name}.service`]: `${service}-service`,
});

/** Not the paths of the question: only Traefik itself asks, since the answer holds credentials. */
const OWN_PATHS = `PathPrefix(\`${OUTPOST_PREFIX}/\`) && !PathPrefix(\`${OUTPOST_PREFIX}${QUESTION_PATH}\`)`;

/** Host names hold no backtick: servedHosts() lets none through. */
const anyOf = (hosts: readonly string[]): string => hosts.map((host) => `Host(\`${host}\`)`).join(' || ');
