/** The reverse proxies `gatehouse config` writes for. */
import { caddy } from './caddy.ts';
import { envoy } from './envoy.ts';
import { haproxy } from './haproxy.ts';
import { ingressNginx } from './ingress-nginx.ts';
import { nginx } from './nginx.ts';
import { traefik } from './traefik.ts';
import { traefikKubernetes } from './traefik-kubernetes.ts';
import { traefikLabels } from './traefik-labels.ts';
import type { ConfigValues } from './values.ts';

export const TARGETS = {
  nginx,
  'ingress-nginx': ingressNginx,
  traefik,
  'traefik-labels': traefikLabels,
  'traefik-kubernetes': traefikKubernetes,
  caddy,
  envoy,
  haproxy,
} as const satisfies Readonly<Record<string, (values: ConfigValues) => string>>;

export type Target = keyof typeof TARGETS;

export const isTarget = (name: string): name is Target => Object.hasOwn(TARGETS, name);
