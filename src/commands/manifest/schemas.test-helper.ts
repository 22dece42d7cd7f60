/**
 * What manifests may say, after the published APIs, as far as it is used: every object strictly, so that a member in the
 * wrong place or misspelt is found. Kubernetes 1.34 (core/v1, apps/v1, networking.k8s.io/v1), Traefik 3
 * (traefik.io/v1alpha1), the Compose Specification.
 */
import { z } from 'zod';

const dnsLabel = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
const dnsName = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/);
const portName = z
  .string()
  .max(15)
  .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
const port = z.int().min(1).max(65_535);
const qualifiedName = z.string().regex(/^([a-z0-9.-]{1,253}\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/);
const labels = z.record(qualifiedName, z.string().regex(/^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/));
const metadata = z.strictObject({
  name: dnsLabel,
  namespace: dnsLabel,
  labels,
  annotations: z.record(qualifiedName, z.string()).optional(),
});
const quantity = z.string().regex(/^\d+(m|Ki|Mi|Gi)?$/);
const resources = z.strictObject({
  requests: z.partialRecord(z.enum(['cpu', 'memory', 'storage']), quantity).optional(),
  limits: z.partialRecord(z.enum(['cpu', 'memory']), quantity).optional(),
});

const probe = z.strictObject({
  httpGet: z.strictObject({ path: z.string().startsWith('/'), port: z.union([portName, port]) }),
  periodSeconds: z.int().min(1).optional(),
  failureThreshold: z.int().min(1).optional(),
});

const container = z.strictObject({
  name: dnsLabel,
  image: z.string().min(1),
  ports: z.array(z.strictObject({ name: portName, containerPort: port, protocol: z.enum(['TCP', 'UDP', 'SCTP']) })),
  env: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/),
        valueFrom: z.strictObject({ secretKeyRef: z.strictObject({ name: dnsLabel, key: z.string() }) }),
      }),
    )
    .optional(),
  startupProbe: probe,
  readinessProbe: probe,
  livenessProbe: probe,
  resources,
  securityContext: z.strictObject({
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    capabilities: z.strictObject({ drop: z.tuple([z.literal('ALL')]) }),
  }),
  volumeMounts: z.array(z.strictObject({ name: dnsLabel, mountPath: z.string().startsWith('/') })),
});

const volume = z.union([
  z.strictObject({
    name: dnsLabel,
    emptyDir: z.strictObject({ medium: z.literal('Memory').optional(), sizeLimit: quantity.optional() }),
  }),
  z.strictObject({ name: dnsLabel, persistentVolumeClaim: z.strictObject({ claimName: dnsLabel }) }),
]);

const podSpec = z.strictObject({
  automountServiceAccountToken: z.literal(false),
  enableServiceLinks: z.boolean(),
  terminationGracePeriodSeconds: z.int().min(0),
  securityContext: z.strictObject({
    runAsNonRoot: z.literal(true),
    runAsUser: z.int().min(1),
    runAsGroup: z.int().min(1),
    fsGroup: z.int().min(1),
    seccompProfile: z.strictObject({ type: z.enum(['RuntimeDefault', 'Localhost', 'Unconfined']) }),
  }),
  imagePullSecrets: z.array(z.strictObject({ name: z.string() })).optional(),
  containers: z.array(container).min(1),
  volumes: z.array(volume),
});

const object = <K extends string, S extends z.ZodRawShape>(apiVersion: string, kind: K, shape: S) =>
  z.strictObject({ apiVersion: z.literal(apiVersion), kind: z.literal(kind), metadata, ...shape });

const servicePort = z.strictObject({ name: portName, port, targetPort: portName, protocol: z.literal('TCP') });
const path = z.strictObject({
  path: z.string().startsWith('/'),
  pathType: z.enum(['Exact', 'Prefix', 'ImplementationSpecific']),
  backend: z.strictObject({
    service: z.strictObject({ name: dnsLabel, port: z.strictObject({ name: portName }) }),
  }),
});

export const KubernetesObject = z.discriminatedUnion('kind', [
  object('v1', 'Secret', {
    type: z.literal('Opaque'),
    stringData: z.record(z.string().regex(/^[A-Za-z0-9._-]{1,253}$/), z.string()),
  }),
  object('apps/v1', 'Deployment', {
    spec: z.strictObject({
      replicas: z.int().min(0),
      strategy: z.strictObject({ type: z.enum(['Recreate', 'RollingUpdate']) }).optional(),
      selector: z.strictObject({ matchLabels: labels }),
      template: z.strictObject({ metadata: z.strictObject({ labels }), spec: podSpec }),
    }),
  }),
  object('v1', 'Service', {
    spec: z.strictObject({
      type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']),
      selector: labels,
      ports: z.array(servicePort).min(1),
    }),
  }),
  object('v1', 'PersistentVolumeClaim', {
    spec: z.strictObject({
      accessModes: z.array(z.enum(['ReadWriteOnce', 'ReadWriteOncePod', 'ReadOnlyMany', 'ReadWriteMany'])).min(1),
      resources,
    }),
  }),
  object('networking.k8s.io/v1', 'Ingress', {
    spec: z.strictObject({
      ingressClassName: dnsName.optional(),
      rules: z.array(z.strictObject({ host: dnsName, http: z.strictObject({ paths: z.array(path).min(1) }) })).min(1),
      tls: z.array(z.strictObject({ hosts: z.array(dnsName).min(1), secretName: z.string().min(1) })),
    }),
  }),
  object('traefik.io/v1alpha1', 'Middleware', {
    spec: z.strictObject({
      forwardAuth: z.strictObject({
        address: z.url(),
        trustForwardHeader: z.boolean(),
        authResponseHeaders: z.array(z.string().regex(/^[A-Za-z][A-Za-z-]*$/)).min(1),
        authResponseHeadersRegex: z.string(),
        maxResponseBodySize: z.int().min(1),
      }),
    }),
  }),
]);

const duration = z.string().regex(/^\d+(ms|s|m)$/);
const service = z.strictObject({
  image: z.string().min(1),
  build: z.strictObject({ context: z.string(), target: z.string() }).optional(),
  container_name: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/)
    .optional(),
  restart: z.enum(['no', 'always', 'on-failure', 'unless-stopped']),
  read_only: z.boolean().optional(),
  tmpfs: z.array(z.string().startsWith('/')).optional(),
  cap_add: z.array(z.string()).optional(),
  cap_drop: z.array(z.string()).optional(),
  security_opt: z.array(z.string()).optional(),
  command: z.array(z.string()).optional(),
  environment: z.record(z.string().regex(/^[A-Z_][A-Z0-9_]*$/), z.string()).optional(),
  ports: z.array(z.string().regex(/^\d+:\d+$/)).optional(),
  volumes: z.array(z.string().regex(/^[^:]+:\/[^:]*(:ro)?$/)).optional(),
  networks: z
    .union([z.array(z.string()), z.record(z.string(), z.strictObject({ aliases: z.array(z.string()).optional() }))])
    .optional(),
  healthcheck: z
    .strictObject({
      test: z.array(z.string()).min(2),
      interval: duration,
      timeout: duration,
      start_period: duration,
      retries: z.int().min(1),
    })
    .optional(),
  labels: z.record(z.string(), z.string()).optional(),
});

export const ComposeFile = z.strictObject({
  services: z.record(z.string().regex(/^[a-zA-Z0-9._-]+$/), service),
  volumes: z.record(z.string(), z.strictObject({})).optional(),
  networks: z.record(z.string(), z.strictObject({ external: z.literal(true) })).optional(),
});
