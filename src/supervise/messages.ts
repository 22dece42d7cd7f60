/**
 * What the supervisor and its workers say to each other. Plain data: it crosses a process boundary as JSON, or, with
 * `--workers 0`, stays in the process.
 */
import type { OutpostInstance, ProxyOutpostConfig } from '../contract/api.ts';
import type { IdentityEventBatch, SignOutReport } from '../contract/extension.ts';
import type { Problem } from '../outpost/exchange.ts';
import type { CertificatePair, Certificates } from '../outpost/listen/certificates.ts';
import type { ConfigurationChange } from './control/configuration-change.ts';
import type { SessionEnd } from './control/session-ends.ts';
import type { MetricSnapshot } from '../outpost/metrics.ts';
import type { ListenAddress, Settings } from '../settings/settings.ts';

/** How a worker reaches the identity server. */
export interface BackChannelOptions {
  /** address of the server with its sub-path, ends with `/`; embedded `http://localhost:9000/` */
  base: string;
  /** bearer token of the outpost */
  token: string;
  /** given when the identity server is the one beside us: its private socket, and this boot's credentials */
  socket?: { path: string; credential: string; internalCredential: string };
  /** address browsers reach it under, where that is another (AUTHENTIK_HOST_BROWSER) */
  browser?: string | undefined;
  /** verify the certificate of the identity server */
  verifyTls: boolean;
}

export interface WorkerStart {
  settings: Pick<Settings, 'logLevel' | 'logHttpHeaders' | 'timeouts' | 'listen' | 'outpost'>;
  listen: ListenAddress[];
  /** HTTPS: its addresses, and the certificate for names that no other fits; undefined = none */
  tls?: { listen: ListenAddress[]; fallback: CertificatePair } | undefined;
  /** several workers share the port */
  reusePort: boolean;
  backChannel: BackChannelOptions;
}

/** A sign-out made here, and when; sessions made later are not concerned. */
export interface LocalSignOut {
  report: SignOutReport;
  /** epoch ms */
  at: number;
}

export type ToWorker =
  | ({ kind: 'start' } & WorkerStart)
  | { kind: 'configure'; outpost: OutpostInstance; providers: ProxyOutpostConfig[]; certificates: Certificates }
  /** what is new since the last configuration */
  | { kind: 'reconfigure'; outpost: OutpostInstance; change: ConfigurationChange }
  /** the certificate for names that no other fits was made anew */
  | { kind: 'fallback-certificate'; pair: CertificatePair }
  | { kind: 'events'; batch: IdentityEventBatch }
  /** an official server ended this session (instructions 3 and 4) */
  | { kind: 'session-ended'; end: SessionEnd }
  | { kind: 'signed-out'; signOut: LocalSignOut }
  /** whether the server can be asked */
  | { kind: 'askable'; askable: boolean }
  /** no events come: sessions issued before `at` (epoch ms) must ask; without it events come again */
  | { kind: 'unfollowed'; at?: number | undefined }
  | { kind: 'measure'; id: number }
  /** the ping says from now on that nobody should be sent here */
  | { kind: 'leaving' }
  /** stop accepting, finish what is under way within `ms`, exit */
  | { kind: 'drain'; ms: number };

export type FromWorker =
  /** all listeners are open */
  | { kind: 'ready' }
  /** it cannot go on; `detail` is for the log */
  | { kind: 'fatal'; code: string; sentence: string; detail?: string | undefined }
  | { kind: 'sign-out'; report: SignOutReport }
  | { kind: 'problem'; problem: Problem }
  | { kind: 'measured'; id: number; snapshot: MetricSnapshot };
