/** How an outpost reaches its identity server. The supervisor's side makes it; tests make their own. */
export interface BackChannel {
  /**
   * Calls to the identity server, public addresses included (an embedded outpost goes through the private socket
   * whatever the host). Calls below {@link apiBase} get the outpost's own token.
   */
  readonly fetch: typeof fetch;
  /**
   * whether the server can be asked: the control link is up, or calls are answered without it. While it cannot,
   * refreshing and renewing sessions is not tried
   */
  readonly up: boolean;
  /** address of the REST API, ends with `/api/v3/` */
  readonly apiBase: string;
}
