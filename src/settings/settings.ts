/** The settings of a process, parsed and checked. schema.ts lists the variables they come from. */
export interface ListenAddress {
  /** `::`, an IPv4 or IPv6 address */
  host: string;
  port: number;
}

export interface Settings {
  listen: {
    http: ListenAddress[];
    https: ListenAddress[];
    metrics: ListenAddress[];
    /** networks whose peers may say who the client is */
    trustedProxyCidrs: string[];
    /** when given, a peer is believed only if it is also in one of these networks; empty = nobody is */
    strictPeers: string[] | undefined;
  };
  /** folder of everything that must survive, absolute */
  data: string;
  /** outpost workers; 0 = everything in one process; undefined = decide by cores */
  workers: number | undefined;
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  /** base path of the identity server, starts and ends with a slash */
  webPath: string;
  /** undefined: a key is made and kept in the data folder */
  secretKey: string | undefined;
  /** domain of the server's session cookie; empty = host only */
  cookieDomain: string;
  bootstrap: { password: string | undefined; token: string | undefined; email: string | undefined };
  disableEmbeddedOutpost: boolean;
  outpost: { host: string | undefined; token: string | undefined; insecure: boolean; hostBrowser: string | undefined };
  /** server timeouts in ms; read and write are idle times, never totals */
  timeouts: { readHeader: number; read: number; write: number; idle: number };
  /** how long an outpost of its own goes on serving after SIGTERM, ms; its ping says already that it stops */
  stopDelay: number;
  /** names of request headers copied to the access log */
  logHttpHeaders: string[];
}
