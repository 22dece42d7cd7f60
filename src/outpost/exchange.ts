/** One request on its way through the data plane, and what the parts share. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { CodedError } from '../contract/errors.ts';
import type { SignOutReport } from '../contract/extension.ts';
import { sizeOf } from './answer.ts';
import type { BackChannel } from './back-channel.ts';
import type { Credentials } from './identify/credentials/credentials.ts';
import type { Refresher } from './identify/refresh.ts';
import type { Peers } from './listen/peers.ts';
import type { NormalisedRequest } from './listen/request.ts';
import type { Upgrade } from './listen/upgrade.ts';
import type { TokenVerifier } from './login/verify-token.ts';
import type { Metrics, RequestType } from './metrics.ts';
import type { CarryLimits } from './proxy/target.ts';
import type { Reason } from './reasons.ts';
import type { Reports } from './reports.ts';
import type { LiveSessions } from './session/live.ts';
import type { OpenAnswers } from './session/open-answers.ts';
import type { Revocations } from './session/revocations.ts';
import type { SiteApplication } from './sites/applications.ts';
import type { Site } from './sites/site.ts';
import type { OutpostState } from './state/state.ts';

/** Something an administrator should hear of. Never holds a secret. */
export interface Problem {
  code: string;
  message: string;
  /** pk of the provider it concerns */
  provider?: number;
  context?: Readonly<Record<string, unknown>>;
  /** address of the client whose request raised it; undefined = no request did */
  clientIp?: string;
}

/** Carries a request to the identity server; `onDown` answers it when that is not there. */
export type ControlPlane = (
  req: IncomingMessage,
  res: ServerResponse,
  request: NormalisedRequest,
  onDown: (error: CodedError) => void,
) => void;

/** What every step may use. One per worker. */
export interface Services {
  readonly peers: Peers;
  readonly sessions: LiveSessions;
  readonly revocations: Revocations;
  readonly openAnswers: OpenAnswers;
  readonly refresher: Refresher;
  readonly credentials: Credentials;
  readonly verifier: TokenVerifier;
  readonly backChannel: BackChannel;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'upstream'>;
  readonly reports: Reports;
  /** idle limits of what is carried; undefined = the published defaults */
  readonly carryLimits: CarryLimits | undefined;
  /** epoch ms */
  readonly now: () => number;
  readonly controlPlane: ControlPlane | undefined;
  /** where it lives, with slashes at both ends */
  readonly controlPlanePath: string;
  readonly onSignOut: (report: SignOutReport) => void;
  readonly onProblem: (problem: Problem) => void;
  /** nobody should be sent here any more; who comes is still served */
  leaving: boolean;
  /** the current configuration; undefined before the first */
  state: OutpostState | undefined;
}

export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly request: NormalisedRequest;
  readonly services: Services;
  /** set when the connection may leave HTTP; only proxy mode makes use of it */
  readonly upgrade: Upgrade | undefined;
  /** `performance.now()` at its start */
  readonly started: number;
}

/**
 * Notes a request, to be counted and logged, once its answer is written.
 * @param reason why it was answered so
 * @param user who was signed in
 * @param size bytes of the body, where it is none of our own
 * @param application the one of a domain that was opened or refused
 */
export function report(
  { services, request, res, started }: Exchange,
  reason: Reason,
  site?: Site,
  user?: string,
  type: RequestType = 'app',
  size: number = sizeOf(res),
  application?: SiteApplication,
): void {
  services.reports.add({
    at: services.now(),
    method: request.method,
    target: request.rawTarget,
    asked: request.headers.originalUrl ?? request.headers.originalUri ?? request.headers.forwardedUri,
    host: request.host,
    scheme: request.scheme,
    status: res.statusCode,
    size: reason === 'control-plane' ? undefined : size,
    runtime: performance.now() - started,
    remote: request.clientAddress,
    provider: site?.provider.name,
    application: application?.slug,
    user,
    reason,
    type,
    siteHost: site?.external.host ?? '',
    requestId: request.requestId,
    rawHeaders: request.rawHeaders,
  });
}
