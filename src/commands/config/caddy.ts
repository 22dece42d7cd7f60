/** Caddy: `forward_auth` (spec/outpost.md 20.3). */
import { IDENTITY_HEADERS } from '../../contract/headers.ts';
import { OUTPOST_PREFIX, QUESTION_PATH } from '../../contract/paths.ts';
import { removedHeaders } from './headers.ts';
import { intro } from './intro.ts';
import type { Address, ConfigValues } from './values.ts';

/** @returns a Caddyfile, or a part of one */
export function caddy(values: ConfigValues): string {
  return `${[...intro(values, 'Caddy', 'put this into the Caddyfile'), ...sites(values)].join('\n')}\n`;
}

function sites(values: ConfigValues): string[] {
  switch (values.mode) {
    case 'forward_single':
      return applicationSite(values);
    case 'forward_domain':
      return [
        '# One such block for each application.',
        ...applicationSite(values),
        '',
        '# The login itself, and the identity server.',
        ...gatehouseSite(values, values.login),
      ];
    case 'proxy':
      return gatehouseSite(values, values.application);
  }
}

const QUESTION = `${OUTPOST_PREFIX}${QUESTION_PATH}`;

/**
 * Caddy knows a wildcard at the beginning and at the end of a name only: for the last two words, every character
 * between them that applications are known to take for another.
 */
const spellings = (name: string) => {
  const words = name.split('-');
  const beginning = words.length > 2 ? '*' : '';
  return [...new Set(['-', '_', '.'].map((character) => beginning + words.slice(-2).join(character)))];
};

function applicationSite(values: ConfigValues): string[] {
  const { application, outpost, upstream, headers } = values;
  const others = [...removedHeaders(values), ...headers];
  return [
    `${application.origin} {`,
    '\t# In this order: Caddy sorts directives outside of "route".',
    '\troute {',
    '\t\t# Only Caddy itself asks: the answer holds credentials, which no script of a page may read.',
    `\t\t@question path ${QUESTION} ${QUESTION}/*`,
    '\t\trespond @question 404',
    '',
    '\t\t# These paths belong to Gatehouse and need no login.',
    `\t\t@gatehouse path ${OUTPOST_PREFIX} ${OUTPOST_PREFIX}/*`,
    ...reverseProxy('\t\t', '@gatehouse ', outpost),
    '',
    '\t\t# Nobody but Gatehouse says who somebody is, in whatever spelling.',
    '\t\trequest_header -*Authentik*',
    '\t\trequest_header -*Gatehouse*',
    ...others.flatMap(spellings).map((name) => `\t\trequest_header -${name}`),
    '',
    '\t\t# The answer says what Authorization is: credentials for the application, or what the visitor sent, or nothing where',
    '\t\t# Gatehouse used it up. Put aside, since Caddy by itself keeps what an answer does not name.',
    '\t\tvars gatehouse_authorization {http.request.header.Authorization}',
    '\t\trequest_header -Authorization',
    '',
    '\t\t# Ask; anything but a yes goes to the visitor as it is. Capitals matter here.',
    `\t\tforward_auth ${outpost.origin} {`,
    `\t\t\turi ${QUESTION}/caddy`,
    ...(outpost.scheme === 'https' ? ['\t\t\theader_up Host {hostport}'] : []),
    '\t\t\theader_up Authorization {http.vars.gatehouse_authorization}',
    '\t\t\t# Headers of your own (additionalHeaders) join this list.',
    `\t\t\tcopy_headers ${[...IDENTITY_HEADERS, ...headers, 'Authorization'].join(' ')}`,
    '\t\t\t# Only if something you run stands in front of Caddy: its addresses.',
    '\t\t\t# trusted_proxies 192.0.2.1',
    '\t\t}',
    '\t\t# Caddy writes nothing, or the name of what it looked for, in place of a header the answer does not have.',
    '\t\t@no_authorization header_regexp Authorization "^$|^.http[.]reverse_proxy[.]"',
    '\t\trequest_header @no_authorization -Authorization',
    '',
    '\t\t# The application does not need our cookies. Caddy replaces by something only, so by a group that is empty.',
    '\t\trequest_header Cookie "(?i)()(^|; *)authentik_(proxy_[^=;]*|session|csrf)=[^;]*" "$1"',
    '\t\trequest_header Cookie "^()[; ]+" "$1"',
    '\t\t@no_cookie header Cookie ""',
    '\t\trequest_header @no_cookie -Cookie',
    '',
    ...reverseProxy('\t\t', '', upstream),
    '\t}',
    '}',
  ];
}

const gatehouseSite = ({ outpost }: ConfigValues, address: Address) => [
  `${address.origin} {`,
  ...reverseProxy('\t', '', outpost),
  '}',
];

/** Event streams are passed on at once; behind https, newer versions would send another Host than the visitor's. */
const reverseProxy = (indent: string, matcher: string, { origin, scheme }: Address) => [
  `${indent}reverse_proxy ${matcher}${origin} {`,
  ...(scheme === 'https' ? [`${indent}\theader_up Host {hostport}`] : []),
  `${indent}\tflush_interval -1`,
  `${indent}}`,
];
