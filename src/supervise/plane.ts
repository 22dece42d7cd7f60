import type { Logger } from 'pino';
import { AccessLog } from '../outpost/access-log.ts';
import { DataPlane } from '../outpost/data-plane.ts';
import { DEFAULT_LIMITS } from '../outpost/proxy/target.ts';
import { ControlPlaneProxy } from '../outpost/proxy/control-plane.ts';
import { openBackChannel } from './back-channel.ts';
import { levelFor } from './log-level.ts';
import { rarely } from './problems.ts';
import type { MakePlane } from './worker.ts';

/** A problem of the set-up concerns every request it meets: once in this time is enough for the log. */
const QUIET_MS = 60_000;

/**
 * Puts the data plane together with what it needs around it: the back channel, the way to the control plane, logs.
 * @param log of this process
 */
export function planeMaker(log: Logger): MakePlane {
  return async ({ settings, backChannel: server }, metrics, tell) => {
    log.level = settings.logLevel;
    const channel = openBackChannel(server);
    const proxy =
      server.socket && new ControlPlaneProxy({ socketPath: server.socket.path, credential: server.socket.credential });
    let up = false;
    const plane = new DataPlane({
      trustedProxyCidrs: settings.listen.trustedProxyCidrs,
      strictPeers: settings.listen.strictPeers,
      backChannel: {
        fetch: channel.fetch,
        apiBase: channel.apiBase,
        get up() {
          return up;
        },
      },
      hostBrowser: settings.outpost.hostBrowser,
      controlPlane: proxy?.handle,
      controlPlanePath: new URL(server.base).pathname,
      log,
      metrics,
      carryLimits: {
        ...DEFAULT_LIMITS,
        clientSends: settings.timeouts.read,
        clientReceives: settings.timeouts.write,
      },
      accessLog: new AccessLog(log, settings.logHttpHeaders),
      onSignOut: (report) => tell({ kind: 'sign-out', report }),
      onProblem: rarely((problem) => tell({ kind: 'problem', problem }), QUIET_MS),
    });
    return {
      configure: (outpost, providers) => {
        if (!server.socket) log.level = levelFor(outpost, log.level);
        plane.configure(outpost, providers);
      },
      applyEvents: (batch) => plane.applyEvents(batch),
      endedByPublishedInstruction: (sid) => plane.endedByPublishedInstruction(sid),
      signOut: (report, at) => plane.signOut(report, at),
      setAskable: (now) => {
        up = now;
      },
      unfollowed: (at) => plane.unfollowed(at),
      leave: () => plane.leave(),
      trusts: (address) => plane.trusts(address),
      handle: (req, res) => plane.handle(req, res),
      mayUpgrade: (req) =>
        plane.mayCarryUpgrade(req) || (proxy !== undefined && plane.controlPlaneUpgrade(req) !== undefined),
      upgrade: (req, socket, head) => {
        const request = plane.controlPlaneUpgrade(req);
        if (request && proxy) proxy.upgrade(req, socket, head, request);
        else plane.upgrade(req, head);
      },
      flush: () => plane.flush(),
      close: async () => {
        await Promise.all([plane.close(), proxy?.destroy(), channel.close()]);
      },
    };
  };
}
