/** Reverse proxies that relay answers, each as a way to stand in front of one application. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { EnvoyDouble, PUBLISHED_ENVOY } from './envoy.ts';
import type { EnvoyOptions } from './envoy.ts';
import { startFront } from './fronts.ts';
import { ROOT } from './gatehouse.ts';
import type { FrontPlace } from './scene.ts';
import { TraefikDouble } from './traefik.ts';

export const SEED_TRAEFIK = join(ROOT, 'test/fixtures/seed-traefik-akprox.yaml');

/** A router for the identity server, which needs no question. */
const identityServer = ({ gatehouse }: FrontPlace) => ({
  routers: { server: { rule: 'Host(`auth.test`)', service: 'server' } },
  services: { server: { loadBalancer: { servers: [{ url: gatehouse }] } } },
});

function readDeploy(file: string, replace: Readonly<Record<string, string>>): unknown {
  let text = readFileSync(join(ROOT, 'deploy', file), 'utf8');
  for (const [placeholder, value] of Object.entries(replace)) {
    if (!text.includes(placeholder)) throw new TypeError(`${placeholder} is not in ${file}`);
    text = text.replaceAll(placeholder, value);
  }
  return parse(text);
}

interface Dynamic {
  http: { routers: Record<string, object>; middlewares: Record<string, object>; services: Record<string, object> };
}

const traefikFile = (name: string, { gatehouse, upstream }: FrontPlace): Dynamic =>
  readDeploy('traefik/single-application.yaml', {
    'app.company': `${name}.test`,
    'http://localhost:5000': upstream,
    'http://outpost.company:9000': gatehouse,
  }) as Dynamic;

const withServer = ({ http }: Dynamic, place: FrontPlace): string => {
  const server = identityServer(place);
  const routers = { ...http.routers, ...server.routers };
  return JSON.stringify({ http: { ...http, routers, services: { ...http.services, ...server.services } } });
};

/** The file we publish, as it stands. */
export const traefikAsPublished = (name: string) => (place: FrontPlace) =>
  TraefikDouble.start(place.port, withServer(traefikFile(name, place), place));

/** The same, with nothing but the middleware in front of everything. */
export const traefikMiddlewareOnly = (name: string) => (place: FrontPlace) => {
  const file = traefikFile(name, place);
  const routers = Object.entries(file.http.routers).filter(([router]) => !router.endsWith('-login'));
  return TraefikDouble.start(
    place.port,
    withServer({ http: { ...file.http, routers: Object.fromEntries(routers) } }, place),
  );
};

/** The middleware of the older generation word for word, with the routers its text describes. */
export const traefikOfTheSeed = (name: string) => (place: FrontPlace) => {
  const text = readFileSync(SEED_TRAEFIK, 'utf8');
  const address = 'http://authentik-outpost-example-outpost:9000';
  if (!text.includes(address)) throw new TypeError('the outpost is not named');
  const { middlewares } = parse(text.replace(address, place.gatehouse)) as Pick<Dynamic['http'], 'middlewares'>;
  const host = `Host(\`${name}.test\`)`;
  const http = {
    middlewares,
    routers: {
      default: { rule: host, middlewares: ['authentik'], priority: 10, service: 'app' },
      auth: { rule: `${host} && PathPrefix(\`/akprox/\`)`, priority: 15, service: 'outpost' },
    },
    services: {
      app: { loadBalancer: { servers: [{ url: place.upstream }] } },
      outpost: { loadBalancer: { servers: [{ url: place.gatehouse }] } },
    },
  };
  return TraefikDouble.start(place.port, withServer({ http }, place));
};

const routes = (name: string, { upstream, gatehouse }: FrontPlace, open: readonly string[]) => ({
  [`${name}.test`]: { service: upstream, open },
  'auth.test': { service: gatehouse, unprotected: true },
});

/** Cookies only, and no way to the outpost but the question. */
export const envoyAsPublished = (name: string) => (place: FrontPlace) =>
  EnvoyDouble.start(place.port, { ...PUBLISHED_ENVOY, outpost: place.gatehouse, routes: routes(name, place, []) });

/** What our own file lets through. */
export const envoyOfOurs = (name: string) => (place: FrontPlace) =>
  EnvoyDouble.start(place.port, {
    ...readExtAuthz(),
    outpost: place.gatehouse,
    routes: routes(name, place, ['/outpost.goauthentik.io/']),
  });

type Patterns = { patterns: { exact?: string; prefix?: string }[] };
interface ExtAuthz {
  allowed_headers: Patterns;
  http_service: {
    path_prefix: string;
    authorization_response: { allowed_upstream_headers: Patterns; allowed_client_headers_on_success: Patterns };
  };
}

function readExtAuthz(): Omit<EnvoyOptions, 'outpost' | 'routes'> {
  const found = find(readDeploy('envoy/single-application.yaml', {}), 'envoy.filters.http.ext_authz');
  const { allowed_headers, http_service } = found as ExtAuthz;
  const { allowed_upstream_headers, allowed_client_headers_on_success } = http_service.authorization_response;
  const names = ({ patterns }: Patterns) => patterns.map(({ exact, prefix }) => exact ?? prefix ?? '');
  return {
    pathPrefix: http_service.path_prefix,
    allowedHeaders: names(allowed_headers),
    allowedUpstreamHeaders: names(allowed_upstream_headers),
    allowedClientHeadersOnSuccess: names(allowed_client_headers_on_success),
  };
}

/** The settings of the filter of this name, wherever it stands. */
function find(node: unknown, name: string): unknown {
  if (typeof node !== 'object' || node === null) return undefined;
  const { name: own, typed_config } = node as { name?: unknown; typed_config?: unknown };
  if (own === name && typed_config !== undefined) return typed_config;
  for (const child of Object.values(node)) {
    const found = find(child, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Hosts of a domain: each asks, but the one of the login, which is the identity server's own. */
export interface DomainPlace extends FrontPlace {
  hosts: readonly string[];
  login: string;
}

function traefikDomain(place: DomainPlace, forwardAuth: object) {
  const asks = place.hosts.map((host, i) => [
    `app${i}`,
    { rule: `Host(\`${host}\`)`, middlewares: ['question'], service: 'app' },
  ]);
  const http = {
    middlewares: { question: { forwardAuth } },
    routers: {
      ...Object.fromEntries(asks),
      login: { rule: `Host(\`${place.login}\`)`, service: 'gatehouse' },
    },
    services: {
      app: { loadBalancer: { servers: [{ url: place.upstream }] } },
      gatehouse: { loadBalancer: { servers: [{ url: place.gatehouse }] } },
    },
  };
  return TraefikDouble.start(place.port, JSON.stringify({ http }));
}

const forwardAuthOf = (middlewares: object): object => {
  const [first] = Object.values(middlewares) as { forwardAuth: object }[];
  if (first === undefined) throw new TypeError('no middleware');
  return first.forwardAuth;
};

/** The middleware of our own file, in front of every host. */
export function traefikForDomain(place: DomainPlace) {
  const file = readDeploy('traefik/domain-level.yaml', { 'http://outpost.company:9000': place.gatehouse }) as Dynamic;
  return traefikDomain(place, forwardAuthOf(file.http.middlewares));
}

/** The middleware of the older generation, in front of every host. */
export function traefikOfTheSeedForDomain(place: DomainPlace) {
  const text = readFileSync(SEED_TRAEFIK, 'utf8');
  const read = parse(text.replace('http://authentik-outpost-example-outpost:9000', place.gatehouse)) as Dynamic['http'];
  return traefikDomain(place, forwardAuthOf(read.middlewares));
}

export function envoyForDomain(place: DomainPlace) {
  const { port, gatehouse, upstream, hosts, login } = place;
  const protectedRoutes = hosts.map((host) => [host, { service: upstream }] as const);
  return EnvoyDouble.start(port, {
    ...PUBLISHED_ENVOY,
    outpost: gatehouse,
    routes: { ...Object.fromEntries(protectedRoutes), [login]: { service: gatehouse, unprotected: true } },
  });
}

/** The real Caddy, with nothing but the question in front of every host. */
export function caddyForDomain({ port, gatehouse, upstream, hosts, login }: DomainPlace) {
  const names =
    'Username Groups Entitlements Email Name Uid Jwt Meta-Jwks Meta-Outpost Meta-Provider Meta-App Meta-Version';
  const copied = names.split(' ').map((name) => `X-Authentik-${name}`);
  const blocks = hosts.map(
    (host) => `https://${host}:${port} {
	forward_auth ${gatehouse} {
		uri /outpost.goauthentik.io/auth/caddy
		copy_headers ${copied.join(' ')}
	}
	reverse_proxy ${upstream}
}
`,
  );
  return startFront(
    'caddy',
    `${blocks.join('\n')}\nhttps://${login}:${port} {\n\treverse_proxy ${gatehouse}\n}\n`,
    port,
  );
}
