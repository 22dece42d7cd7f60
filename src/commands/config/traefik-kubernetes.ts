/** Traefik in Kubernetes: a Middleware and IngressRoutes (spec/outpost.md 20.2). */
import { intro } from './intro.ts';
import { clusterOrigin, serviceOf } from './kubernetes.ts';
import type { Service } from './kubernetes.ts';
import { applicationRule, forwardAuth, loginRule, ownPathsRule, questionAddress } from './traefik-parts.ts';
import type { ConfigValues } from './values.ts';

/** @returns manifests for `kubectl apply` */
export function traefikKubernetes(values: ConfigValues): string {
  const where =
    'kubectl apply -f this file; names of services, namespaces and the certificate are those of your cluster';
  const documents = values.mode === 'proxy' ? [route(values)] : [middleware(values), route(values)];
  if (values.mode === 'forward_domain') documents.push(loginRoute(values));
  return `${[...intro(values, 'Traefik', where), documents.map((lines) => lines.join('\n')).join('\n---\n')].join('\n')}\n`;
}

const gatehouseOf = ({ outpost }: ConfigValues) => serviceOf(outpost, 'gatehouse');
const applicationOf = ({ upstream, slug }: ConfigValues) => serviceOf(upstream, `app-${slug}`);

function middleware(values: ConfigValues): string[] {
  const { outpost, slug } = values;
  const inCluster = clusterOrigin(outpost.scheme, gatehouseOf(values));
  return [
    'apiVersion: traefik.io/v1alpha1',
    'kind: Middleware',
    'metadata:',
    `  name: gatehouse-${slug}`,
    `  namespace: ${applicationOf(values).namespace}`,
    'spec:',
    ...forwardAuth(values, questionAddress(values).replace(outpost.origin, inCluster)).map((line) => `  ${line}`),
  ];
}

const rule = (match: string, priority: number, service: Service, more: string[] = []) => [
  '    - kind: Rule',
  `      match: '${match}'`,
  `      priority: ${priority}`,
  ...more,
  '      services:',
  '        - kind: Service',
  `          name: ${service.name}`,
  `          namespace: ${service.namespace}`,
  `          port: ${service.port}`,
];

function ingressRoute({ application }: ConfigValues, name: string, namespace: string, rules: string[]): string[] {
  return [
    'apiVersion: traefik.io/v1alpha1',
    'kind: IngressRoute',
    'metadata:',
    `  name: ${name}`,
    `  namespace: ${namespace}`,
    'spec:',
    '  entryPoints:',
    `    - ${application.scheme === 'https' ? 'websecure' : 'web'}`,
    '  routes:',
    ...rules,
    ...(application.scheme === 'https' ? ['  tls:', `    secretName: ${name}-tls`] : []),
  ];
}

function route(values: ConfigValues): string[] {
  const { slug, mode } = values;
  if (mode === 'proxy') {
    const service = gatehouseOf(values);
    return ingressRoute(values, `app-${slug}`, service.namespace, rule(applicationRule(values), 10, service));
  }
  const { namespace } = applicationOf(values);
  return ingressRoute(values, `app-${slug}`, namespace, [
    ...rule(applicationRule(values), 10, applicationOf(values), [
      '      middlewares:',
      `        - name: gatehouse-${slug}`,
      `          namespace: ${namespace}`,
    ]),
    '    # These paths belong to Gatehouse and need no login. Where its Service is in another namespace, Traefik needs',
    '    # allowCrossNamespace.',
    ...rule(ownPathsRule(values), 15, gatehouseOf(values)),
  ]);
}

function loginRoute(values: ConfigValues): string[] {
  const service = gatehouseOf(values);
  return [
    '# The login itself, and the identity server.',
    ...ingressRoute(values, 'gatehouse', service.namespace, rule(loginRule(values), 10, service)),
  ];
}
