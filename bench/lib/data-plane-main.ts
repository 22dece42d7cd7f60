/**
 * A data plane as a worker runs it (listener, log to stdout, metrics), without the processes around it: for questions
 * of size that would take hours to set up over the REST interface. The first argument is a {@link Scale} as JSON.
 * Writes one session cookie a line to `cookies`, then listens. `GET /heap` on `control` answers bytes in use.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { AccessLog } from '../../src/outpost/access-log.ts';
import { outpostInstance, providerConfig } from '../../src/outpost/data-plane.test-helper.ts';
import { DataPlane } from '../../src/outpost/data-plane.ts';
import { Metrics } from '../../src/outpost/metrics.ts';
import { processLog } from '../../src/outpost/process-log.ts';
import { cookieName } from '../../src/outpost/session/cookies.ts';
import { SessionCookie } from '../../src/outpost/session/session-cookie.ts';
import { createListener } from '../../src/supervise/listener.ts';

export interface Scale {
  port: number;
  control: number;
  host: string;
  applications: number;
  groups: number;
  rules: number;
  sessions: number;
  cookies: string;
}

const scale = JSON.parse(process.argv[2] ?? '{}') as Scale;
const { log } = processLog('info', 'worker');
const metrics = new Metrics();
const plane = new DataPlane({
  trustedProxyCidrs: ['127.0.0.0/8'],
  backChannel: { fetch, apiBase: 'http://127.0.0.1:9', up: true },
  log,
  metrics,
  accessLog: new AccessLog(log, ['User-Agent']),
  onSignOut: () => undefined,
  onProblem: (problem) => log.warn(problem),
});

const provider = (pk: number) =>
  providerConfig({
    pk,
    name: `Provider ${pk}`,
    external_host: pk === 1 ? `http://${scale.host}` : `http://app-${pk}.example.test`,
    assigned_application_slug: `app-${pk}`,
    skip_path_regex: pk === 1 ? Array.from({ length: scale.rules }, (_, i) => `^/public-${i}/`).join('\n') : '',
  });
plane.configure(
  outpostInstance(),
  Array.from({ length: scale.applications }, (_, i) => provider(i + 1)),
);

const first = provider(1);
const cookie = new SessionCookie({
  provider: 1,
  clientId: first.client_id,
  secret: first.cookie_secret,
  previousSecret: '',
  name: cookieName(first.client_id),
  scope: { domain: undefined, secure: false },
});
const groups = Array.from({ length: scale.groups }, (_, i) => `team-${i}-of-${scale.groups}`);
const now = Date.now();
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const lines: string[] = [];
for (let i = 0; i < scale.sessions; i++) {
  const claims = {
    iss: 'http://auth.test/application/o/app-1/',
    sub: randomBytes(32).toString('hex'),
    aud: first.client_id,
    exp: Math.floor(now / 1000) + 36_000,
    iat: Math.floor(now / 1000),
    sid: randomBytes(32).toString('hex'),
    preferred_username: `person-${i}`,
    name: `Person ${i}`,
    email: `person-${i}@example.test`,
    groups,
    entitlements: [],
    ak_proxy: { user_attributes: {}, is_superuser: false },
  };
  const token = `${part({ alg: 'RS256', kid: 'k1' })}.${part(claims)}.${randomBytes(256).toString('base64url')}`;
  const session = {
    provider: 1,
    token,
    claims: { ...claims, ak_proxy: claims.ak_proxy },
    extra: [],
    cursor: { epoch: '', n: 0 },
    issuedAt: now,
    expiresAt: claims.exp * 1000,
  };
  const sealed = await cookie.seal(session as never);
  if (sealed === undefined) throw new Error('a session does not fit into its cookies');
  lines.push(sealed.setCookies.map((text) => text.split(';', 1)[0]).join('; '));
}
writeFileSync(scale.cookies, `${lines.join('\n')}\n`);
lines.length = 0;

const timeouts = { readHeader: 5000, read: 30_000, write: 60_000, idle: 120_000 };
const handlers = {
  trusts: () => true,
  request: plane.handle.bind(plane),
  mayUpgrade: () => false,
  upgrade: () => undefined,
};
createListener(handlers, timeouts).server.listen(scale.port, '127.0.0.1');
createServer((_, res) => {
  globalThis.gc?.();
  res.end(String(process.memoryUsage().heapUsed));
}).listen(scale.control, '127.0.0.1');
