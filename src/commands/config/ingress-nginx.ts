/** ingress-nginx in Kubernetes (spec/outpost.md 20.1). */
import { OUTPOST_PREFIX, QUESTION_PATH } from '../../contract/paths.ts';
import { COPIED, OWN_COOKIE, removedHeaders } from './headers.ts';
import { intro } from './intro.ts';
import { clusterOrigin, serviceOf } from './kubernetes.ts';
import type { Service } from './kubernetes.ts';
import type { Address, ConfigValues } from './values.ts';

/** @returns manifests for `kubectl apply` */
export function ingressNginx(values: ConfigValues): string {
  const where = 'kubectl apply -f this file; names of services, namespaces and certificates are those of your cluster';
  return `${[
    ...intro(values, 'ingress-nginx', where),
    documents(values)
      .map((lines) => lines.join('\n'))
      .join('\n---\n'),
  ].join('\n')}\n`;
}

function documents(values: ConfigValues): string[][] {
  const gatehouse = serviceOf(values.outpost, 'gatehouse');
  const own = (address: Address, name: string, paths: readonly string[], why: string) => [
    why,
    ...ingress(address, name, gatehouse, paths, values.outpost.scheme === 'https' ? [HTTPS_BACKEND] : []),
  ];
  const name = `app-${values.slug}`;
  const login = '# The login itself, and the identity server.';
  const ownPaths = '# These paths belong to Gatehouse and need no login. Those of the question are not public.';
  if (values.mode === 'proxy') return [own(values.application, name, ['/'], '# Every request is for Gatehouse.')];
  return [
    applicationIngress(values, gatehouse),
    own(values.application, `${name}-login`, OWN_PATHS, ownPaths),
    ...(values.mode === 'forward_domain' ? [own(values.login, 'gatehouse', ['/'], login)] : []),
  ];
}

/**
 * What an Ingress leads to Gatehouse where the application is asked about: each path for itself (`Exact`). Not the paths
 * of the question: only the ingress controller itself asks, since the answer holds credentials, which no script of a
 * page may read. What visitors send there is asked about like any other path, and the application's to answer.
 */
export const OWN_PATHS: readonly string[] = ['/start', '/callback', '/sign_out'].map((path) => OUTPOST_PREFIX + path);

const HTTPS_BACKEND = "nginx.ingress.kubernetes.io/backend-protocol: 'HTTPS'";

/** `set` and `if` in place of `map`, which a snippet cannot hold. */
export const cookieSnippet = (values: Pick<ConfigValues, 'headers'>): readonly string[] => [
  'set $gatehouse_cookie $http_cookie;',
  ...[1, 2, 3].map(
    (step) =>
      `if ($gatehouse_cookie ~ "^(?<gh_before_${step}>|.*?; )(?:${OWN_COOKIE}(?:; |$))+(?<gh_after_${step}>.*)$") { set $gatehouse_cookie "$gh_before_${step}$gh_after_${step}"; }`,
  ),
  'proxy_set_header Cookie $gatehouse_cookie;',
  ...removedHeaders(values).map((name) => `proxy_set_header ${name} '';`),
];

function applicationIngress(values: ConfigValues, gatehouse: Service): string[] {
  const { application, login, mode, outpost, upstream, slug } = values;
  const question = clusterOrigin(outpost.scheme, gatehouse);
  const start = (mode === 'forward_domain' ? login : application).origin;
  const copied = ['Set-Cookie', ...COPIED, ...values.headers, 'Authorization'];
  const annotation = (name: string, value: string) => `nginx.ingress.kubernetes.io/${name}: ${value}`;
  return [
    '# The two snippets are switched off in ingress-nginx from 1.9 on, unless its ConfigMap says',
    "# allow-snippet-annotations: 'true' (and, from 1.12 on, annotations-risk-level: Critical). Both are needed: the first",
    '# tells Gatehouse which application is asked about, the second keeps the login cookies from the application.',
    ...ingress(
      application,
      `app-${slug}`,
      serviceOf(upstream, `app-${slug}`),
      ['/'],
      [
        annotation('auth-url', `'${question}${OUTPOST_PREFIX}${QUESTION_PATH}/nginx/with-method'`),
        annotation('auth-signin', `'${start}${OUTPOST_PREFIX}/start?rd=$scheme://$http_host$escaped_request_uri'`),
        '# Headers of your own (additionalHeaders) join this list.',
        annotation('auth-response-headers', `'${copied.join(',')}'`),
        annotation('auth-snippet', '|'),
        ...questionSnippet.map((line) => `  ${line}`),
        annotation('configuration-snippet', '|'),
        ...cookieSnippet(values).map((line) => `  ${line}`),
        annotation('proxy-buffering', "'off'"),
        annotation('proxy-buffer-size', "'32k'"),
        annotation('proxy-buffers-number', "'8'"),
        annotation('proxy-read-timeout', "'3600'"),
        annotation('proxy-send-timeout', "'3600'"),
        ...(upstream.scheme === 'https' ? [HTTPS_BACKEND] : []),
      ],
    ),
  ];
}

/**
 * ingress-nginx sends the host of auth-url as Host, and hands on the rest as the visitor sent it. X-Forwarded-Host has to
 * be the host that chose the server block: of `GET https://a/ HTTP/1.1` with `Host: b` that is a ($host), while
 * ingress-nginx's own X-Original-URL says b ($http_host), so that such a question disagrees and is refused.
 */
export const questionSnippet: readonly string[] = [
  'proxy_set_header X-Forwarded-Host $host;',
  'proxy_set_header X-Forwarded-Proto $scheme;',
  "proxy_set_header X-Original-URI '';",
];

function ingress(
  { scheme, host }: Address,
  name: string,
  service: Service,
  paths: readonly string[],
  annotations: string[],
): string[] {
  return [
    'apiVersion: networking.k8s.io/v1',
    'kind: Ingress',
    'metadata:',
    `  name: ${name}`,
    `  namespace: ${service.namespace}`,
    ...(annotations.length > 0 ? ['  annotations:', ...annotations.map((line) => `    ${line}`)] : []),
    'spec:',
    '  ingressClassName: nginx',
    ...(scheme === 'https' ? ['  tls:', '    - hosts:', `        - '${host}'`, `      secretName: ${name}-tls`] : []),
    '  rules:',
    `    - host: '${host}'`,
    '      http:',
    '        paths:',
    ...paths.flatMap((path) => [
      `          - path: ${path}`,
      `            pathType: ${path === '/' ? 'Prefix' : 'Exact'}`,
      '            backend:',
      '              service:',
      `                name: ${service.name}`,
      '                port:',
      `                  number: ${service.port}`,
    ]),
  ];
}
