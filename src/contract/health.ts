/** What a running process says about itself on the listener for metrics; `gatehouse healthcheck` asks for it. */

/** 200 for as long as the process lives. */
export const LIVE_PATH = '/-/health/live/';
/** 200 or 503, with {@link Health} as JSON. */
export const READY_PATH = '/-/health/ready/';

export interface Health {
  /** visitors may be sent here: it is configured and serving. It may be without its server for a while. */
  ready: boolean;
  /** to the identity server */
  connected: boolean;
  /** it knows its applications, from the server or from what an earlier run kept */
  configured: boolean;
  /** its ports are open, and it is not stopping */
  serving: boolean;
  /** all of it for a person, without secrets */
  sentence: string;
}
