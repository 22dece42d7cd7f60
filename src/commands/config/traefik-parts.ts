/** What the three ways to configure Traefik have in common (spec/outpost.md 20.2). */
import { OUTPOST_PREFIX, QUESTION_PATH } from '../../contract/paths.ts';
import { COPIED, REMOVED } from './headers.ts';
import type { ConfigValues } from './values.ts';

/**
 * The question. `strip-cookies` has Gatehouse answer with the visitor's cookies less its own, and Traefik puts that
 * answer in place of what the visitor sent: it has no other means to take out single cookies.
 */
export const questionAddress = ({ outpost }: ConfigValues): string =>
  `${outpost.origin}${OUTPOST_PREFIX}${QUESTION_PATH}/traefik?strip-cookies`;

/**
 * Headers of the answer that replace those of the visitor. Authorization: credentials for the application, or what the
 * visitor sent, or nothing where it was used up (docs/architecture.md, decision 34).
 */
export const answerHeaders = ({ headers }: Pick<ConfigValues, 'headers'>): string[] => [
  'Cookie',
  ...COPIED,
  ...headers,
  'Authorization',
];

/**
 * Every spelling of our names, and of those that other texts remove one by one: whatever matches is removed before the
 * answer's own are set. Go's syntax, without braces (the file is a template).
 */
export function answerHeadersRegex({ headers }: Pick<ConfigValues, 'headers'>): string {
  const removed = REMOVED.map((name) => anySpelling(name.toLowerCase().split('-').slice(1))).join('|');
  const further = headers.map((name) => `|^${anySpelling(name.toLowerCase().split('-'))}$`).join('');
  return `(?i)^x[^a-z0-9]((authentik|gatehouse)[^a-z0-9]|(${removed})$)${further}`;
}

const anySpelling = (words: readonly string[]) => words.join('[^a-z0-9]');

export const applicationRule = ({ application }: ConfigValues): string => `Host(\`${application.host}\`)`;

/**
 * Not the paths of the question: only Traefik itself asks, since the answer holds credentials, which no script of a page
 * may read. What visitors send there is asked about like any other path, and the application's to answer.
 */
export const ownPathsRule = ({ application }: ConfigValues): string =>
  `Host(\`${application.host}\`) && PathPrefix(\`${OUTPOST_PREFIX}/\`) && !PathPrefix(\`${OUTPOST_PREFIX}${QUESTION_PATH}\`)`;

export const loginRule = ({ login }: ConfigValues): string => `Host(\`${login.host}\`)`;

/** Said where people decide about it. */
export const COOKIE_COMMENT = [
  '# With "Cookie" in the list, and "strip-cookies" in the address, the application receives all cookies but those of',
  '# the login. Only an outpost of Gatehouse answers so: with another, leave out both.',
];
export const TRUST_COMMENT = [
  '# Traefik itself says who asks for what. Write true only if something you run stands in front of Traefik, and is',
  '# named in forwardedHeaders.trustedIPs of the entry point.',
];

/** `forwardAuth` of a middleware, as YAML. @param address of the question, as Traefik reaches it */
export const forwardAuth = (values: ConfigValues, address: string): string[] => [
  'forwardAuth:',
  `  address: '${address}'`,
  ...TRUST_COMMENT.map((line) => `  ${line}`),
  '  trustForwardHeader: false',
  ...COOKIE_COMMENT.map((line) => `  ${line}`),
  '  # Headers of your own (additionalHeaders) join this list.',
  '  authResponseHeaders:',
  ...answerHeaders(values).map((name) => `    - ${name}`),
  '  # Other spellings of the same names, which a visitor could send.',
  `  authResponseHeadersRegex: '${answerHeadersRegex(values)}'`,
];
