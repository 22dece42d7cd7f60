/** Traefik by labels of containers, as in a compose file. */
import { intro } from './intro.ts';
import {
  answerHeaders,
  answerHeadersRegex,
  applicationRule,
  COOKIE_COMMENT,
  loginRule,
  ownPathsRule,
  questionAddress,
  TRUST_COMMENT,
} from './traefik-parts.ts';
import type { ConfigValues } from './values.ts';

/** @returns a part of a compose file: the labels of two services */
export function traefikLabels(values: ConfigValues): string {
  const where = 'merge these labels into the services of your compose file';
  return `${[
    ...intro(values, 'Traefik', where),
    'services:',
    ...(values.mode === 'proxy' ? [] : applicationService(values)),
    ...gatehouseService(values),
  ].join('\n')}\n`;
}

/** One label. Compose replaces `$NAME`, so a dollar sign is written twice. */
const label = (name: string, value: string) =>
  `      ${name}: '${value.replaceAll('$', '$$$$').replaceAll("'", "''")}'`;

function router(values: ConfigValues, name: string, rule: string, priority: number, service: string): string[] {
  const { scheme } = values.application;
  const at = `traefik.http.routers.${name}`;
  return [
    label(`${at}.rule`, rule),
    label(`${at}.priority`, String(priority)),
    label(`${at}.entrypoints`, scheme === 'https' ? 'websecure' : 'web'),
    ...(scheme === 'https' ? [label(`${at}.tls`, 'true')] : []),
    label(`${at}.service`, service),
  ];
}

function applicationService(values: ConfigValues): string[] {
  const { slug, upstream } = values;
  const name = `app-${slug}`;
  const at = `traefik.http.middlewares.gatehouse-${slug}.forwardauth`;
  return [
    `  ${name}:`,
    '    labels:',
    label('traefik.enable', 'true'),
    ...router(values, name, applicationRule(values), 10, name),
    label(`traefik.http.routers.${name}.middlewares`, `gatehouse-${slug}`),
    label(`traefik.http.services.${name}.loadbalancer.server.port`, String(upstream.port)),
    label(`${at}.address`, questionAddress(values)),
    ...TRUST_COMMENT.map((line) => `      ${line}`),
    label(`${at}.trustForwardHeader`, 'false'),
    ...COOKIE_COMMENT.map((line) => `      ${line}`),
    label(`${at}.authResponseHeaders`, answerHeaders(values).join(',')),
    '      # Other spellings of the same names, which a visitor could send.',
    label(`${at}.authResponseHeadersRegex`, answerHeadersRegex(values)),
  ];
}

function gatehouseService(values: ConfigValues): string[] {
  const { slug, outpost, mode } = values;
  return [
    '  gatehouse:',
    '    labels:',
    label('traefik.enable', 'true'),
    ...(mode === 'proxy'
      ? router(values, `app-${slug}`, applicationRule(values), 10, 'gatehouse')
      : [
          '      # These paths belong to Gatehouse and need no login.',
          ...router(values, `app-${slug}-login`, ownPathsRule(values), 15, 'gatehouse'),
        ]),
    ...(mode === 'forward_domain'
      ? [
          '      # The login itself, and the identity server.',
          ...router(values, 'gatehouse', loginRule(values), 20, 'gatehouse'),
        ]
      : []),
    label('traefik.http.services.gatehouse.loadbalancer.server.port', String(outpost.port)),
    ...(outpost.scheme === 'https'
      ? [label('traefik.http.services.gatehouse.loadbalancer.server.scheme', 'https')]
      : []),
  ];
}
