import { pino } from 'pino';
import { openExpressions } from './expressions.ts';
import type { ExpressionsOptions } from './expressions.ts';
import type { ExpressionCall, ExpressionResult, Expressions, GroupFacts, Json, UserFacts } from './types.ts';

/** Expressions with a log that tests can read. */
export function openForTest(options: Partial<ExpressionsOptions> = {}): Expressions & { lines: string[] } {
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  // the wait covers a start on a machine that does much else
  const opened = openExpressions({ log, waiting: 120_000, milliseconds: 20_000, ...options });
  return Object.defineProperty(opened, 'lines', { value: lines }) as Expressions & { lines: string[] };
}

const group = (name: string, number: number, attributes: GroupFacts['attributes'] = {}): GroupFacts => ({
  pk: `00000000-0000-4000-8000-00000000000${String(number)}`,
  name,
  is_superuser: name === 'admins',
  attributes,
});

const GROUPS = [group('admins', 1, { level: 3 }), group('app-grafana-editor', 2)];

export const ANNA: UserFacts = {
  pk: 7,
  uuid: '7c9e6679-7425-40de-944b-e07fc1f90ae7',
  uid: 'f'.repeat(64),
  username: 'anna',
  name: 'Anna Maria Berg',
  email: 'Anna.Berg@example.com',
  is_active: true,
  is_superuser: false,
  type: 'internal',
  path: 'users',
  attributes: { department: 'it', phones: ['+49 1', '+49 2'], ssh: { keys: ['k1'] } },
  group_attributes: { level: 3, department: 'it' },
  groups: GROUPS,
  all_groups: [...GROUPS, group('everyone', 3)],
  entitlements: [{ name: 'editor', attributes: {} }],
};

/** A call as a login makes it. */
export function callOf(expression: string, more: Partial<ExpressionCall> = {}): ExpressionCall {
  return {
    name: 'a mapping',
    expression,
    context: {
      user: ANNA,
      http_request: {
        method: 'GET',
        path: '/application/o/authorize/',
        query: { scope: 'openid' },
        headers: { 'User-Agent': 'a browser' },
      },
      client_ip: '10.1.2.3',
      context: { 'goauthentik.io/oauth2/scopes': ['openid'], 'auth-method': 'password' },
      provider: { pk: 4, name: 'Grafana', client_id: 'abc' },
      application: { slug: 'grafana', name: 'Grafana' },
      token: { scope: ['openid', 'profile'] },
    },
    ...more,
  };
}

/** The value, or what went wrong as text. */
export function told(result: ExpressionResult): Json {
  return result.ok ? result.value : `${result.error.kind}: ${result.error.message}`;
}
