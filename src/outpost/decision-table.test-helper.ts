/** The ways to be asked, and the rows of the decision table (design/architecture.md, section 3; spec/outpost.md 5). */
import { IDENTITY_HEADERS, LEGACY_HEADERS } from '../contract/headers.ts';
import { PREFIX_OF } from '../contract/paths.ts';
import type { Generation } from '../contract/paths.ts';
import type { Answer, TestOutpost } from './data-plane.test-helper.ts';
import { ALICE } from './data-plane.test-helper.ts';

type Headers = Record<string, string>;

/** One way a request reaches the decision. */
export interface Asker {
  name: string;
  /** how decisions are answered */
  dialect: 'nginx' | 'relayed' | 'proxy';
  generation: Generation;
  /** whether the decision sees a path */
  seesPath: boolean;
  ask(outpost: TestOutpost, question: Question): Promise<Answer>;
}

export interface Question {
  /** path and query of the original request; undefined = the reverse proxy does not name it */
  target: string | undefined;
  method?: string;
  host?: string;
  headers?: Headers;
}

/** The reverse proxy's own part of a question. */
function asker(
  dialect: Asker['dialect'],
  generation: Generation,
  path: string,
  named: (question: { target: string; method: string; host: string }) => { headers?: Headers; path?: string },
): Asker {
  const address = PREFIX_OF[generation] + path;
  return {
    name: dialect === 'proxy' ? 'proxy mode' : address,
    dialect,
    generation,
    seesPath: address !== '/akprox/auth',
    ask(outpost, { target, method = 'GET', host = 'app.test', headers }) {
      const own = target === undefined ? {} : named({ target, method, host });
      const asks = path.startsWith('/auth/envoy') || dialect === 'proxy' ? method : 'GET';
      return outpost.send(own.path ?? address, { host, ...own.headers, ...headers }, asks);
    },
  };
}

const forwarded = ({ target, method, host }: { target: string; method: string; host: string }) => ({
  headers: {
    host: 'outpost.internal:9000',
    'x-forwarded-host': host,
    'x-forwarded-proto': 'http',
    'x-forwarded-uri': target,
    'x-forwarded-method': method,
  },
});

const BOTH = ['outpost', 'akprox'] as const;

export const ASKERS: readonly Asker[] = [
  asker('nginx', 'outpost', '/auth/nginx', ({ target, host }) => ({
    headers: { 'x-original-url': `http://${host}${target}` },
  })),
  asker('nginx', 'akprox', '/auth/nginx', ({ target }) => ({ headers: { 'x-original-uri': target } })),
  asker('nginx', 'akprox', '/auth', () => ({})),
  ...BOTH.map((generation) => asker('relayed', generation, '/auth/traefik', forwarded)),
  asker('relayed', 'akprox', '/auth?traefik', forwarded),
  ...BOTH.map((generation) => asker('relayed', generation, '/auth/caddy', forwarded)),
  ...BOTH.map((generation) =>
    asker('relayed', generation, '/auth/envoy', ({ target }) => ({
      path: `${PREFIX_OF[generation]}/auth/envoy${target}`,
    })),
  ),
  asker('proxy', 'outpost', '', ({ target }) => ({ path: target })),
];

export const CLIENTS = {
  navigation: { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
  frame: { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
  script: { accept: '*/*', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' },
  silent: {},
} as const satisfies Record<string, Headers>;
export type Client = keyof typeof CLIENTS;

/** What a cell of the table says. */
export interface Cell {
  status: number;
  /** beginning of Location */
  location?: string;
  body: 'empty' | 'text' | 'json' | 'page';
  /** number of Set-Cookie */
  cookies: number;
  /** every managed header: with a person's values, or empty */
  managed?: 'person' | 'nobody';
  authenticate?: boolean;
}

const AUTHORIZE = 'http://auth.test/application/o/authorize/?';
/** What an error is told as. Envoy's published configuration does not say what the visitor takes: pages, then. */
function page({ name }: Asker, client: Client): Cell['body'] {
  if (client === 'silent') return name.includes('envoy') ? 'page' : 'json';
  return client === 'script' ? 'json' : 'page';
}
const refusal = (status: number, body: Cell['body']): Cell => ({ status, body, cookies: 0 });

/** Answers of a decision in each dialect. */
export const ANSWERS = {
  allow: (cookies = 0) => ({ status: 200, body: 'empty', cookies, managed: 'person' }) satisfies Cell,
  public: () => ({ status: 200, body: 'empty', cookies: 0, managed: 'nobody' }) satisfies Cell,
  login({ dialect }: Asker, client: Client): Cell {
    if (dialect === 'nginx') return refusal(401, 'text');
    if (client === 'script') return { ...refusal(401, 'json'), authenticate: true };
    if (client === 'frame') return refusal(401, 'page');
    return { status: 302, location: AUTHORIZE, body: 'empty', cookies: 1 };
  },
  deny: (asker: Asker, client: Client): Cell =>
    asker.dialect === 'nginx' ? refusal(401, 'text') : refusal(403, page(asker, client)),
  /** @param status where it can be told */
  error: (asker: Asker, client: Client, status: number): Cell =>
    asker.dialect === 'nginx' ? refusal(403, 'text') : refusal(status, page(asker, client)),
  misconfigured: (asker: Asker, client: Client): Cell =>
    asker.dialect === 'nginx' ? refusal(500, 'text') : refusal(500, page(asker, client)),
};

/** Every managed header of a generation, `X-Team` being one an operator added. */
export const managedNames = (generation: Generation): string[] => [
  ...IDENTITY_HEADERS,
  ...(generation === 'akprox' ? LEGACY_HEADERS : []),
  'X-Team',
];

/** What the fake server answers to a session that is asked about anew. */
export async function refreshed(outpost: TestOutpost, n: number) {
  return {
    result: 'token' as const,
    access_token: await outpost.server.sign('client-1', 'app', ALICE),
    gatehouse: { cursor: { epoch: 'e1', n }, headers: [['X-Team', 'red'] as [string, string]] },
  };
}
