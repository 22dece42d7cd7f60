/**
 * Claims a proxy token carries (spec/outpost.md 12, spec/server.md 5.7).
 */
export interface Claims {
  iss: string;
  sub: string;
  exp: number;
  iat: number;
  email: string;
  name: string;
  preferred_username: string;
  groups: string[];
  entitlements: string[];
  /** hex SHA-256 of the server's session key; empty for tokens without a session */
  sid: string;
  ak_proxy: ProxyClaims;
}

export interface ProxyClaims {
  user_attributes: Readonly<Record<string, unknown>>;
  backend_override: string;
  host_header: string;
  is_superuser: boolean;
}

/**
 * Reads claims leniently: a member of the wrong type counts as absent, so that one odd attribute never locks a
 * person out. Signature, issuer, audience and expiry are checked elsewhere, before this is called.
 */
export function readClaims(payload: Readonly<Record<string, unknown>>): Claims {
  const proxy = object(payload['ak_proxy']);
  return {
    iss: text(payload['iss']),
    sub: text(payload['sub']),
    exp: integer(payload['exp']),
    iat: integer(payload['iat']),
    email: text(payload['email']),
    name: text(payload['name']),
    preferred_username: text(payload['preferred_username']),
    groups: texts(payload['groups']),
    entitlements: texts(payload['entitlements']),
    sid: text(payload['sid']),
    ak_proxy: {
      user_attributes: object(proxy['user_attributes']),
      backend_override: text(proxy['backend_override']),
      host_header: text(proxy['host_header']),
      is_superuser: proxy['is_superuser'] === true,
    },
  };
}

const text = (v: unknown) => (typeof v === 'string' ? v : '');
const integer = (v: unknown) => (typeof v === 'number' && Number.isFinite(v) ? Math.trunc(v) : 0);
const texts = (v: unknown) => (Array.isArray(v) ? v.filter((x) => typeof x === 'string') : []);
const object = (v: unknown) =>
  typeof v === 'object' && v !== null && !Array.isArray(v) ? (v as Readonly<Record<string, unknown>>) : {};
