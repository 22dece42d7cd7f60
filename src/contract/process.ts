/**
 * What the supervisor and the control plane's process say to each other (docs/architecture.md, Processes). Plain data,
 * sent over the channel between parent and child.
 */

/** Everything the control plane needs besides the data folder. `S` is `Settings` of settings/settings.ts. */
export interface ControlPlaneStart<S> {
  settings: S;
  /** Unix socket to listen on, in a folder only this user can enter */
  socketPath: string;
  /** boot secret: requests without it are refused */
  linkCredential: string;
  /** boot secret: shown, besides the first, by calls of the outpost itself */
  internalCredential: string;
  /** boot secret: bearer token of the embedded outpost, valid on internal calls only */
  outpostToken: string;
  /** boot secret, only with `--demo`: bearer token of `akadmin`, valid on internal calls only */
  demoToken?: string;
  /** port of the public HTTP listener, for addresses shown while none is configured */
  httpPort: number;
}

export type ToControlPlane<S> =
  | ({ kind: 'start' } & ControlPlaneStart<S>)
  /** finish what is under way and exit */
  | { kind: 'stop' };

export type FromControlPlane =
  | {
      kind: 'ready';
      /** one-time token of the set-up page, while nobody can sign in */
      setupToken?: string;
    }
  /** it cannot run and never will without a person: the sentence says what to do; the process exits with 1 */
  | { kind: 'fatal'; code: string; sentence: string };
