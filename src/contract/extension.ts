/**
 * What our server and our outposts say to each other beyond the published contract (design/architecture.md,
 * decisions 3 to 5). An outpost asks for it with the request header below on REST and token calls and with the
 * member `gatehouse` in its HELLO; nobody else ever sees it.
 */
import { createHash } from 'node:crypto';

/**
 * Request header of our outposts on REST and token calls; its value is the extension version. Our server shows it in the
 * answer of the published `root/config/` to whoever sends it: so an outpost knows what else it may ask for.
 */
export const EXTENSION_HEADER = 'X-Gatehouse-Extension';
export const EXTENSION_VERSION = '1';

/** Published request header: the client an outpost asks for. Only the outpost's own calls are believed. */
export const REMOTE_IP_HEADER = 'X-authentik-remote-ip';

/** Position in the log of identity events. */
export interface Cursor {
  /** the run of the server that counted: made anew at each start, as the database may be a restored one by then */
  epoch: string;
  /** number of the last event applied; 0 = none */
  n: number;
}

/**
 * Something happened that outposts have to act on. `until` is when the entry may be forgotten, epoch ms: no session
 * made before it can live longer.
 */
export type IdentityEvent = { n: number; until: number } & (
  | { kind: 'session-ended'; sid: string }
  /** the login at this provider is over, the server session goes on */
  | { kind: 'application-ended'; sid: string; provider: number }
  /** an app password or access token is over: so are the sessions that were made from it (TokenExtension.credentials) */
  | { kind: 'credential-ended'; credential: string }
  /** `deny`: sessions of this person made before are over. `refresh`: their claims are stale, ask for new ones. */
  | { kind: 'user-changed'; uid: string; effect: 'deny' | 'refresh' }
  /** access rules or mappings of this provider changed: its older sessions are stale */
  | { kind: 'provider-changed'; provider: number }
  /** groups, secrets or keys changed in a way no single person covers: every older session is stale or over */
  | { kind: 'everybody'; effect: 'deny' | 'refresh' }
);

/** Args of instruction IDENTITY_EVENTS. */
export interface IdentityEventBatch {
  epoch: string;
  /** true: `events` is the whole live set, forget all others */
  snapshot: boolean;
  /**
   * Where earlier epochs ended: their numbers up to there are numbers of this one, too. What is not named, or lies beyond,
   * is not comparable. Told when an outpost catches up, and the same until the epoch changes.
   */
  former?: Cursor[];
  /** cursor after applying the batch */
  n: number;
  events: IdentityEvent[];
}

/** Whether a batch adds to what was learnt under an epoch: the same one, or one that it goes on from. */
export function goesOn({ epoch, former }: IdentityEventBatch, known: string): boolean {
  return epoch === known || (former?.some((one) => one.epoch === known) ?? false);
}

/** Member `gatehouse` of HELLO args. */
export interface HelloExtension {
  extension: string;
  cursor: Cursor;
}

/** Member `gatehouse` of token answers to our outposts. */
export interface TokenExtension {
  /** the log position read before the claims were: the session is stale for every later event that names it */
  cursor: Cursor;
  /** headers of this person that travel outside the token (additionalHeaders), already checked */
  headers: [string, string][];
  /** names of groups this person is in, directly or through others, of those that access rules of the provider name; absent from older servers */
  rule_groups?: string[];
  /** at domain level: slugs of the applications this person may open, the provider's own among them */
  applications?: string[];
  /** what the token was made from, when that was no login: handles that `credential-ended` events name */
  credentials?: string[];
}

/** Member `gatehouse` of introspection answers about live tokens. */
export interface IntrospectionExtension extends TokenExtension {
  /** a token of the asking provider with the claims as they are now; not longer than the one that was presented */
  access_token: string;
}

/** Member `gatehouse` where a token is refused, at the token endpoint and by introspection. */
export interface RefusalExtension {
  /** the credential is right, the rules of the application refuse its owner: why */
  denied?: string;
  /** too many wrong credentials: seconds until another one is looked at */
  wait?: number;
}

/** `POST` body and answer: fresh claims for a session that an event made stale. */
export const REFRESH_PATH = 'gatehouse/outposts/session_refresh/';
export interface RefreshRequest {
  provider: number;
  sid: string;
  uid: string;
  /** the session's token, where it was made from a credential instead of a login */
  token?: string;
}
export type RefreshAnswer =
  | { result: 'token'; access_token: string; gatehouse: TokenExtension }
  /** the server session is over: sign in again */
  | { result: 'ended' }
  /** still signed in, but may not use this application any more */
  | { result: 'denied'; reason: string };

/**
 * `GET` below the API: what is new in the configuration of the calling outpost. Query `cursor`: that of the last answer, or
 * nothing; `after`: the member `next` of the answer before, while everything is fetched.
 */
export const CONFIGURATION_PATH = 'gatehouse/outposts/configuration/';
/** Largest number of providers in one answer. */
export const CONFIGURATION_PAGE = 100;
export interface ConfigurationAnswer<Outpost = unknown, Provider = unknown> {
  /** opaque; what happened before it is in this answer or, page by page, in those that follow */
  cursor: string;
  /** true: forget all other providers. The answer is one page, by rising pk. */
  whole: boolean;
  /** the outpost itself: `pk, name, refresh_interval_s, config, managed` as published */
  outpost: Outpost;
  /** ProviderExtension.managed_headers, the same for all of them */
  managed_headers: string[];
  /** as published, with the member `gatehouse` */
  providers: Provider[];
  /** pks of providers that this outpost does not serve any more */
  removed: number[];
  /** pk to go on after; 0 = this was all */
  next: number;
}

/** `POST` body: a sign-out made at the outpost, told until the server has it. */
export const SIGN_OUT_PATH = 'gatehouse/outposts/sign_out/';
export interface SignOutReport {
  provider: number;
  sid: string;
  uid: string;
}

/** Headers a worker adds on the private socket (architecture, section 1); a client's own are always removed. */
export const LINK_HEADERS = {
  /** boot credential; a request without the right one is refused */
  credential: 'x-gatehouse-link',
  /** address of the client, already resolved over trusted hops. Never with `internal`, always without it. */
  peer: 'x-gatehouse-peer',
  /** second boot credential: the outpost itself calls, not a visitor through it */
  internal: 'x-gatehouse-internal',
  scheme: 'x-gatehouse-scheme',
  host: 'x-gatehouse-host',
  requestId: 'x-gatehouse-request-id',
} as const;

/**
 * What `view_certificate/` of our server names as `ETag`, so that an outpost can ask whether a chain is still the same:
 * nothing is shown then, and nothing written to the audit log. Official servers show it every time.
 * @param certificate the chain as PEM, byte for byte
 */
export const certificateTag = (certificate: string): string =>
  `"${createHash('sha256').update(certificate).digest('hex')}"`;
