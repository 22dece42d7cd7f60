/** Why a request was answered as it was: the words of logs, metrics and tests, and what each means. */
export const REASONS = {
  session: 'signed in',
  'session-refreshed': 'signed in; the claims were just fetched anew',
  'session-grace': 'signed in; newer claims could not be fetched yet, the old ones count for five minutes',
  credentials: 'no session; an app password or token in Authorization was verified',
  'credentials-cached': 'no session; the app password or token was verified less than a minute ago',
  'public-path': 'a path rule lets everybody in',
  'public-asset': 'a web app manifest, an icon or the like, which the provider makes public',
  preflight: 'a CORS preflight, which the provider lets pass without a login',

  'no-session': 'no session cookie',
  'session-unreadable': 'a session cookie that is damaged, sealed with another key or for another application',
  'session-expired': 'the session is over by time',
  'session-ended': 'the session was ended: signed out, or the person was changed',
  'credentials-invalid': 'no session, and what stands in Authorization is not valid here',
  'session-renewal': 'the session is past half its life and is renewed on the way',

  'access-denied': 'signed in, or valid credentials, and the rules of the application refuse this person',
  'rule-denies': 'an access rule refuses everybody',
  'rule-needs-group': 'signed in, and an access rule is for members of other groups',

  'invalid-request': 'ambiguous or malformed request, for example a security header given twice',
  'path-malformed': 'a path no honest client sends',
  'path-ambiguous': 'a path servers read differently, where a path rule would have to decide',
  'path-not-known': 'a path that is not known or too long, where an access rule would have to decide',
  'no-original-address': 'the reverse proxy did not say which address was asked for',
  'original-address-invalid': 'the reverse proxy named an address that cannot be read, or two that differ',
  'unknown-host': 'no application for this host',
  'unknown-endpoint': 'the outpost has no such endpoint',
  'not-ready': 'no configuration yet',
  'claims-outdated': 'newer claims could not be fetched for more than five minutes',
  'credentials-limited': 'too many wrong credentials from this address, or for this account from there',
  'credentials-unchecked': 'credentials that could not be verified: the identity server cannot be asked',
  'upstream-unusable': 'the internal host of the application cannot be used',
  'backend-refused': 'the token names a backend, or a Host, that the provider does not allow',
  'upstream-failed': 'the application could not be reached',
  'websocket-origin': 'a page of another origin tried to open a WebSocket',
  'login-failed': 'a login that did not end well; the page and the log say how',
  'internal-error': 'an error nobody expected',

  endpoint: "one of the outpost's own endpoints: ping, start, callback, sign_out",
  'control-plane': 'passed on to the identity server',
} as const;

export type Reason = keyof typeof REASONS;
export type Verdict = 'allow' | 'login' | 'deny' | 'error' | 'endpoint' | 'control-plane';

const VERDICTS: Partial<Record<Reason, Verdict>> = {
  session: 'allow',
  'session-refreshed': 'allow',
  'session-grace': 'allow',
  credentials: 'allow',
  'credentials-cached': 'allow',
  'public-path': 'allow',
  'public-asset': 'allow',
  preflight: 'allow',
  'no-session': 'login',
  'session-unreadable': 'login',
  'session-expired': 'login',
  'session-ended': 'login',
  'credentials-invalid': 'login',
  'session-renewal': 'login',
  'access-denied': 'deny',
  'rule-denies': 'deny',
  'rule-needs-group': 'deny',
  endpoint: 'endpoint',
  'control-plane': 'control-plane',
};

/** Which kind of answer a reason belongs to; what is not listed is an error. */
export function verdictOf(reason: Reason): Verdict {
  return VERDICTS[reason] ?? 'error';
}
