/**
 * `gatehouse manifest kubernetes`: an outpost as manifests (names, labels and ports: spec/outpost.md 21, spec/server.md
 * 6.6), for current versions of the API.
 */
import { OUTPOST_PREFIX, QUESTION_PATH } from '../../contract/paths.ts';
import { OWN_PATHS } from '../config/ingress-nginx.ts';
import { answerHeaders, answerHeadersRegex } from '../config/traefik-parts.ts';
import { DATA, PORTS, UID } from './values.ts';
import type { ManifestValues } from './values.ts';
import { Comment, documents } from './yaml.ts';
import type { YamlObject } from './yaml.ts';

/** Documents by the published name of their component, by which `kubernetes_disabled_components` leaves them out. */
const COMPONENTS: Readonly<Record<string, (values: ManifestValues) => YamlObject | undefined>> = {
  secret,
  deployment,
  service,
  ingress,
  'traefik middleware': middleware,
};

/** @returns manifests for `kubectl apply`, with the outpost's token in a Secret */
export function kubernetesManifest(values: ManifestValues): string {
  const made: YamlObject[] = [];
  for (const [component, make] of Object.entries(COMPONENTS)) {
    const object = values.kubernetes.disabled.has(component) ? undefined : make(values);
    if (object !== undefined) made.push(object);
  }
  const about = new Comment(
    `Gatehouse: the outpost ${values.title}. The Secret holds its token: keep this file as private as a password.`,
    'To use it: kubectl apply -f this-file; the image must be one your cluster can fetch.',
  );
  return documents(made.map((object, i) => (i === 0 ? { first: about, ...object } : object)));
}

const SELECTED = (values: ManifestValues): YamlObject => ({
  'app.kubernetes.io/name': 'authentik-outpost-proxy',
  'goauthentik.io/outpost-uuid': values.uuid,
});

const metadata = (values: ManifestValues, more: YamlObject = {}): YamlObject => ({
  name: values.name,
  namespace: values.kubernetes.namespace,
  labels: {
    ...SELECTED(values),
    'app.kubernetes.io/instance': values.name,
    'app.kubernetes.io/managed-by': 'goauthentik.io',
    'goauthentik.io/outpost-name': values.labelName,
    'goauthentik.io/outpost-type': 'proxy',
  },
  ...more,
});

function secret(values: ManifestValues): YamlObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: metadata(values),
    type: 'Opaque',
    stringData: {
      authentik_host: values.host,
      authentik_host_browser: values.hostBrowser,
      authentik_host_insecure: String(values.insecure),
      token: values.token,
    },
  };
}

function deployment(values: ManifestValues): YamlObject {
  const { kubernetes, image, name } = values;
  const fromSecret = (variable: string, key: string) => ({
    name: variable,
    valueFrom: { secretKeyRef: { name, key } },
  });
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadata(values),
    spec: {
      replicas: kubernetes.replicas,
      selector: { matchLabels: SELECTED(values) },
      template: {
        metadata: { labels: metadata(values)['labels'] },
        spec: {
          ...POD,
          imagePullSecrets:
            kubernetes.pullSecrets.length === 0 ? undefined : kubernetes.pullSecrets.map((pull) => ({ name: pull })),
          containers: [
            {
              name: 'proxy',
              image,
              ...CONTAINER,
              env: [
                fromSecret('AUTHENTIK_HOST', 'authentik_host'),
                fromSecret('AUTHENTIK_HOST_BROWSER', 'authentik_host_browser'),
                fromSecret('AUTHENTIK_INSECURE', 'authentik_host_insecure'),
                fromSecret('AUTHENTIK_TOKEN', 'token'),
              ],
              resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '512Mi' } },
            },
          ],
          kept: new Comment(
            'What a pod keeps in "data": the configuration for a start without the server, and sign-outs not yet told. It',
            'may be lost with the pod.',
          ),
          volumes: [SCRATCH, { name: 'data', emptyDir: {} }],
        },
      },
    },
  };
}

/** What any of our pods has in common. */
export const POD: YamlObject = {
  automountServiceAccountToken: false,
  enableServiceLinks: false,
  // longer than a stop takes: 10 s for requests under way, 5 s for the identity server
  terminationGracePeriodSeconds: 30,
  securityContext: {
    runAsNonRoot: true,
    runAsUser: UID,
    runAsGroup: UID,
    fsGroup: UID,
    seccompProfile: { type: 'RuntimeDefault' },
  },
};

/** The folder every process may write to and nobody misses; a volume `data` joins it. */
export const SCRATCH: YamlObject = { name: 'tmp', emptyDir: { medium: 'Memory', sizeLimit: '16Mi' } };

const probe = (path: string, timing: YamlObject): YamlObject => ({
  httpGet: { path, port: 'http-metrics' },
  ...timing,
});

/** What any of our containers has in common. Volumes `data` and `tmp` belong to the pod. */
export const CONTAINER: YamlObject = {
  ports: [
    { name: 'http', containerPort: PORTS.http, protocol: 'TCP' },
    { name: 'https', containerPort: PORTS.https, protocol: 'TCP' },
    { name: 'http-metrics', containerPort: PORTS.metrics, protocol: 'TCP' },
  ],
  // an outpost is not ready for as long as it knows no applications, and that is no reason to start it again
  startupProbe: probe('/-/health/live/', { periodSeconds: 1, failureThreshold: 60 }),
  readinessProbe: probe('/-/health/ready/', { periodSeconds: 5 }),
  livenessProbe: probe('/-/health/live/', { periodSeconds: 10, failureThreshold: 6 }),
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  },
  volumeMounts: [
    { name: 'data', mountPath: DATA },
    { name: 'tmp', mountPath: '/tmp' },
  ],
};

function service(values: ManifestValues): YamlObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata(values),
    spec: { type: values.kubernetes.serviceType, selector: SELECTED(values), ports: SERVICE_PORTS },
  };
}

export const SERVICE_PORTS: readonly YamlObject[] = [
  { name: 'http', port: PORTS.http, targetPort: 'http', protocol: 'TCP' },
  { name: 'https', port: PORTS.https, targetPort: 'https', protocol: 'TCP' },
  { name: 'http-metrics', port: PORTS.metrics, targetPort: 'http-metrics', protocol: 'TCP' },
];

/** @returns undefined while there is no host to route */
function ingress(values: ManifestValues): YamlObject | undefined {
  const { hosts, name, kubernetes } = values;
  const { annotations, className, pathType, secret: secretName } = kubernetes.ingress;
  if (hosts.length === 0) return undefined;
  const backend = { service: { name, port: { name: 'http' } } };
  // whatever the path type of the installation is: a prefix would lead to the question too
  const own = OWN_PATHS.map((path) => ({ path, pathType: 'Exact', backend }));
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: metadata(values, { annotations: { ...BUFFERS, ...annotations } }),
    spec: {
      ingressClassName: className,
      rules: hosts.map(({ host, whole }) => ({
        host,
        http: { paths: whole ? [{ path: '/', pathType, backend }] : own },
      })),
      tls: [{ hosts: hosts.map(({ host }) => host), secretName }],
    },
  };
}

/** Room for the login's cookies and the signed token in answers; read by ingress-nginx only. */
export const BUFFERS: YamlObject = {
  'nginx.ingress.kubernetes.io/proxy-buffers-number': '8',
  'nginx.ingress.kubernetes.io/proxy-buffer-size': '32k',
};

function middleware(values: ManifestValues): YamlObject {
  const { name, kubernetes } = values;
  const origin = `http://${name}.${kubernetes.namespace}.svc.cluster.local:${PORTS.http}`;
  return {
    about: new Comment(
      'For applications behind Traefik: their IngressRoute names this middleware. Needs the resources of Traefik; leave it',
      'out without them. Headers of your own (additionalHeaders, presets) join the list.',
    ),
    apiVersion: 'traefik.io/v1alpha1',
    kind: 'Middleware',
    metadata: metadata(values),
    spec: {
      forwardAuth: {
        address: `${origin}${OUTPOST_PREFIX}${QUESTION_PATH}/traefik?strip-cookies`,
        trustForwardHeader: false,
        authResponseHeaders: answerHeaders({ headers: [] }),
        authResponseHeadersRegex: answerHeadersRegex({ headers: [] }),
        maxResponseBodySize: 4 * 1024 * 1024,
      },
    },
  };
}
