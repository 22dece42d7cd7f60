/** Traefik's file provider. Traefik runs such a file through a template engine: values hold no braces. */
import { intro } from './intro.ts';
import { applicationRule, forwardAuth, loginRule, ownPathsRule, questionAddress } from './traefik-parts.ts';
import type { Address, ConfigValues } from './values.ts';

/** @returns a file of the dynamic configuration */
export function traefik(values: ConfigValues): string {
  const where =
    'put this file where the file provider of Traefik finds it; the entry point and the certificate are those of your set-up';
  return `${[
    ...intro(values, 'Traefik', where),
    'http:',
    '  routers:',
    ...routers(values),
    ...(values.mode === 'proxy' ? [] : middleware(values)),
    '  services:',
    ...(values.mode === 'proxy' ? [] : service(`app-${values.slug}`, values.upstream)),
    ...service('gatehouse', values.outpost),
  ].join('\n')}\n`;
}

function routers(values: ConfigValues): string[] {
  const { slug, application } = values;
  const router = (name: string, rule: string, priority: number, to: string, more: string[] = []) => [
    `    ${name}:`,
    `      rule: '${rule}'`,
    `      priority: ${priority}`,
    `      entryPoints: [${application.scheme === 'https' ? 'websecure' : 'web'}]`,
    ...more,
    `      service: ${to}`,
    ...(application.scheme === 'https' ? ['      tls: {}'] : []),
  ];
  if (values.mode === 'proxy') return router(`app-${slug}`, applicationRule(values), 10, 'gatehouse');
  return [
    ...router(`app-${slug}`, applicationRule(values), 10, `app-${slug}`, [`      middlewares: [gatehouse-${slug}]`]),
    '    # These paths belong to Gatehouse and need no login.',
    ...router(`app-${slug}-login`, ownPathsRule(values), 15, 'gatehouse'),
    ...(values.mode === 'forward_domain'
      ? ['    # The login itself, and the identity server.', ...router('gatehouse', loginRule(values), 20, 'gatehouse')]
      : []),
  ];
}

const middleware = (values: ConfigValues) => [
  '  middlewares:',
  `    gatehouse-${values.slug}:`,
  ...forwardAuth(values, questionAddress(values)).map((line) => `      ${line}`),
];

const service = (name: string, { origin }: Address) => [
  `    ${name}:`,
  '      loadBalancer:',
  '        servers:',
  `          - url: '${origin}'`,
];
