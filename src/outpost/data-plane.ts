/** What a worker runs: answers requests by an immutable state that is swapped as a whole. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import type { OutpostInstance, ProxyOutpostConfig } from '../contract/api.ts';
import type { IdentityEventBatch, SignOutReport } from '../contract/extension.ts';
import type { AccessLog } from './access-log.ts';
import type { BackChannel } from './back-channel.ts';
import type { ControlPlane, Problem, Services } from './exchange.ts';
import { handle, isCarriedUpgrade, isControlPlaneUpgrade } from './handle.ts';
import { Credentials } from './identify/credentials/credentials.ts';
import { Refresher } from './identify/refresh.ts';
import { normalise } from './listen/normalise.ts';
import { Peers } from './listen/peers.ts';
import type { NormalisedRequest } from './listen/request.ts';
import { responseFor, upgradeProtocols } from './listen/upgrade.ts';
import { TokenVerifier } from './login/verify-token.ts';
import type { Metrics } from './metrics.ts';
import type { CarryLimits } from './proxy/target.ts';
import { Upstreams } from './proxy/upstreams.ts';
import { Reports } from './reports.ts';
import { LiveSessions } from './session/live.ts';
import type { CacheLimits } from './session/live.ts';
import { OpenAnswers } from './session/open-answers.ts';
import { Revocations } from './session/revocations.ts';
import { buildState } from './state/state.ts';

/** Added to the longest session when an end has no time of its own: clocks differ. */
const MARGIN_MS = 60 * 60_000;

export interface DataPlaneOptions {
  /** networks whose peers may say who the client is; empty = nobody */
  trustedProxyCidrs: readonly string[];
  /** narrows them: a peer must be in this list too */
  strictPeers?: readonly string[] | undefined;
  backChannel: BackChannel;
  /** AUTHENTIK_HOST_BROWSER; standalone outposts only */
  hostBrowser?: string | undefined;
  /** where requests of no application go; embedded outposts only */
  controlPlane?: ControlPlane | undefined;
  /** path below which the identity server beside it lives, with slashes at both ends; `/` unless said */
  controlPlanePath?: string | undefined;
  log: Logger;
  metrics: Pick<Metrics, 'configure' | 'answered' | 'upstream'>;
  accessLog?: Pick<AccessLog, 'write'> | undefined;
  /** a person signed out here: to be told to the other workers and, until it has it, the server */
  onSignOut(report: SignOutReport): void;
  onProblem(problem: Problem): void;
  /** epoch ms; for tests */
  now?: () => number;
  cacheLimits?: CacheLimits;
  carryLimits?: CarryLimits | undefined;
}

export class DataPlane {
  readonly #services: Services;
  readonly #options: DataPlaneOptions;
  readonly #upstreams = new Upstreams();

  constructor(options: DataPlaneOptions) {
    const { backChannel, log, onProblem } = options;
    const now = options.now ?? Date.now;
    const revocations = new Revocations();
    const verifier = new TokenVerifier(backChannel, now);
    const refresher = new Refresher({ backChannel, verifier, revocations, log, now });
    this.#options = options;
    this.#services = {
      peers: new Peers(options.trustedProxyCidrs, options.strictPeers),
      sessions: new LiveSessions(options.cacheLimits),
      revocations,
      verifier,
      openAnswers: new OpenAnswers({ revocations, settle: (live) => refresher.settle(live), now }),
      refresher,
      credentials: new Credentials({ backChannel, verifier, revocations, log, now }),
      backChannel,
      log,
      metrics: options.metrics,
      carryLimits: options.carryLimits,
      reports: new Reports(options.metrics, options.accessLog),
      now,
      controlPlane: options.controlPlane,
      controlPlanePath: options.controlPlanePath ?? '/',
      onSignOut: (report) => {
        this.signOut(report);
        options.onSignOut(report);
      },
      onProblem,
      leaving: false,
      state: undefined,
    };
  }

  /** Whether a peer of this address may say whom it speaks for. */
  trusts(address: string): boolean {
    return this.#services.peers.peer(address).trusted;
  }

  /** Answers a request. Never throws. */
  handle(req: IncomingMessage, res: ServerResponse): void {
    handle(this.#services, req, res);
  }

  /** Whether an upgrade request is one that may be carried to an application; then it goes to {@link upgrade}. */
  mayCarryUpgrade(req: IncomingMessage): boolean {
    if (upgradeProtocols(req) === undefined) return false;
    return isCarriedUpgrade(this.#services, normalise(req, this.#services.peers));
  }

  /**
   * Answers a request that may leave HTTP, or lets it. Never throws.
   * @param head bytes that came behind the request's head
   */
  upgrade(req: IncomingMessage, head: Buffer): void {
    const socket: Socket = req.socket;
    const upgrade = { socket, head, protocols: upgradeProtocols(req) ?? [] };
    const res = responseFor(req, upgrade);
    if (res === undefined) socket.destroy();
    else handle(this.#services, req, res, upgrade);
  }

  /**
   * Whether an upgrade request belongs to the identity server (`/ws/…` below its path, on a host of no proxy-mode application).
   * All others are ordinary requests and go to {@link handle}.
   * @returns the request as the control plane wants it described, or `undefined`
   */
  controlPlaneUpgrade(req: IncomingMessage): NormalisedRequest | undefined {
    const request = normalise(req, this.#services.peers);
    return isControlPlaneUpgrade(this.#services, { request }) ? request : undefined;
  }

  /** Builds the next state from the previous one and swaps it. Requests under way keep the one they began with. */
  configure(outpost: OutpostInstance, providers: readonly ProxyOutpostConfig[]): void {
    const { metrics, hostBrowser, onProblem } = this.#options;
    const around = {
      outpost,
      hostBrowser,
      openUpstream: (host: string, verifyTls: boolean, ca: string) => this.#upstreams.open(host, verifyTls, ca),
      openBackend: (address: string, verifyTls: boolean, ca: string) => this.#upstreams.borrow(address, verifyTls, ca),
    };
    const { state, problems } = buildState(around, providers, this.#services.state);
    this.#services.state = state;
    this.#upstreams.keepOnly(state.upstreams);
    this.#services.openAnswers.recheck();
    metrics.configure(
      outpost.name,
      [...state.sites.values()].map((site) => site.external.host),
    );
    for (const { provider, name, text } of problems) {
      this.#services.log.warn({ provider, name }, text);
      const context = { provider: name, outpost: outpost.name };
      onProblem({ code: 'configuration', message: `${name}: ${text}`, provider, context });
    }
  }

  /** Identity events of our own server. */
  applyEvents(batch: IdentityEventBatch): void {
    this.#services.revocations.apply(batch, this.#services.now());
    this.#services.openAnswers.check();
  }

  /**
   * No events come: sessions issued before must be asked about.
   * @param at epoch ms; undefined = events come
   */
  unfollowed(at: number | undefined): void {
    this.#services.revocations.unfollowed(at);
    this.#services.openAnswers.check();
  }

  /**
   * The published instruction that a server session is over.
   * @param at when it came, epoch ms
   * @param until when no session of it can be left, epoch ms
   */
  endedByPublishedInstruction(sid: string, at: number = this.#services.now(), until = this.#forgetAt()): void {
    this.#services.revocations.endSid(sid, until, at);
    this.#services.openAnswers.check();
  }

  /**
   * A sign-out made at any worker of this machine.
   * @param at when, epoch ms; sessions made later are not concerned
   */
  signOut(report: SignOutReport, at: number = this.#services.now()): void {
    const site = this.#services.state?.sites.get(report.provider);
    this.#services.revocations.signOut(report, site?.signOutEverything ?? true, this.#forgetAt(), at);
    this.#services.openAnswers.check();
  }

  /** From now on the ping says that nobody should be sent here. */
  leave(): void {
    this.#services.leaving = true;
  }

  /** Counts and logs what was answered so far. */
  flush(): void {
    this.#services.reports.flush();
  }

  /** Ends the connections to applications. */
  async close(): Promise<void> {
    this.flush();
    this.#services.openAnswers.close();
    await this.#upstreams.destroy();
  }

  #forgetAt(): number {
    return this.#services.now() + (this.#services.state?.longestValidity ?? 0) * 1000 + MARGIN_MS;
  }
}
