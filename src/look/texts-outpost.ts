/** What outposts say to people; part of the catalogue in {@link file://./texts.ts}. */
const english = {
  signIn: 'Sign in',
  signInFirst: (application: string) => `Sign in to use ${application}.`,
  tryAgain: 'Try again',
  openApplication: (application: string) => `Open ${application}`,
  startPage: 'Go to the start page',
  host: 'Host',
  askOperator: 'If this stays, tell the person who runs this server the request number below.',
  refused: 'This request cannot be answered',

  signedOut: {
    title: 'You are signed out',
    what: (application: string) => `You are not signed in to ${application}.`,
  },

  framed: {
    title: 'Sign in',
    what: (application: string) => `You have to sign in to see ${application} here.`,
    todo: 'Open it in a window of its own and sign in there. Then reload this page.',
  },

  tooLong: {
    title: 'Sign in',
    what: (application: string) =>
      `You have to sign in to ${application}. The address you opened is too long to be taken along.`,
    todo: 'The sign-in opens in a new window. Leave this page open meanwhile: it goes on to your address when you come back to it. If it does not, reload it.',
  },

  /** code -> status, title, what happened, what to do */
  errors: {
    'not-ready': {
      status: 503,
      title: 'Not ready yet',
      what: 'The outpost is starting and does not know its applications yet.',
      todo: 'Try again in a few seconds.',
    },
    'unknown-host': {
      status: 400,
      title: 'No application here',
      what: 'No application is configured for this host.',
      todo: 'Check the address. If it is right, the external host of the provider or the Host header your reverse proxy sends is not.',
    },
    'endpoint-unknown': {
      status: 404,
      title: 'Not found',
      what: 'The outpost has no endpoint of this name.',
      todo: 'Check the configuration of the reverse proxy.',
    },
    'rule-denies': {
      status: 403,
      title: 'No access',
      what: 'A rule of this application lets nobody open this address.',
      todo: 'Signing in would not help. If you think it should be open, ask the person who runs this server.',
    },
    'access-denied': {
      status: 403,
      title: 'No access',
      what: 'The credentials in the header Authorization are right, but their account may not use this application.',
      todo: 'Use those of another account, or ask the person who runs this server for access.',
    },
    'credentials-invalid': {
      status: 401,
      title: 'Unauthenticated',
      what: 'The header Authorization holds nothing that is valid for this application, and the provider is set to answer so instead of showing a login (intercept_header_auth).',
      todo: 'Use an app password of the account, not its own password, or a token made for this application that is still valid. To get the login, leave the header out.',
    },
    'credentials-limited': {
      status: 429,
      title: 'Too many attempts',
      what: 'Too many wrong credentials came from this address.',
      todo: 'Try again in ten minutes, with the right ones.',
    },
    'credentials-unchecked': {
      status: 503,
      title: 'Please wait a moment',
      what: 'The credentials in the header Authorization cannot be verified right now.',
      todo: 'Try again in a moment. If it stays, the outpost cannot reach the identity server, or its log says what is wrong.',
    },
    'login-state-invalid': {
      status: 400,
      title: 'Sign-in could not be continued',
      what: 'The answer of the login does not belong to a sign-in that was begun here.',
      todo: 'Open the application once more.',
    },
    'login-cookie-missing': {
      status: 400,
      title: 'Sign-in could not be continued',
      what: 'Your browser did not send back the cookie that was set when the sign-in began.',
      todo: 'Allow cookies for this site and open the application once more. If it stays, the address you opened and the external host of the provider differ.',
    },
    'login-loop': {
      status: 400,
      title: 'Sign-in does not hold',
      what: 'You signed in, but your browser does not send the session cookie back.',
      todo: 'Allow cookies for this site. If they are allowed, compare the external host of the provider with the address you open: http or https, host and port must be the same.',
    },
    'login-refused': {
      status: 403,
      title: 'No access',
      what: 'The identity server did not let you in to this application.',
      todo: 'Sign in with another account, or ask the person who runs this server for access.',
    },
    'login-failed': {
      status: 502,
      title: 'Sign-in did not work',
      what: 'The identity server could not complete the sign-in.',
      todo: 'Try again.',
    },
    'login-server-unreachable': {
      status: 502,
      title: 'Sign-in is not possible right now',
      what: 'The outpost cannot reach the identity server.',
      todo: 'Try again in a moment.',
    },
    'session-too-large': {
      status: 500,
      title: 'Sign-in is too large',
      what: 'What the server says about you does not fit into a browser cookie.',
      todo: 'Ask the person who runs this server to limit the groups and attributes sent to this application.',
    },
    'claims-outdated': {
      status: 503,
      title: 'Please wait a moment',
      what: 'Your account was changed, and the identity server cannot be asked right now what that means for you.',
      todo: 'Try again in a moment.',
    },
    'upstream-unusable': {
      status: 502,
      title: 'Bad Gateway',
      what: 'The internal host configured for this application is not an http or https address.',
      todo: 'Correct the internal host of the provider.',
    },
    'backend-refused': {
      status: 502,
      title: 'Bad Gateway',
      what: 'The identity server names a backend for you that this application does not allow.',
      todo: 'Add its host to the setting "backend_hosts" of the provider, or correct the scope mapping that names it. The events say which host it is.',
    },
    'upstream-certificate-expired': {
      status: 502,
      title: 'Bad Gateway',
      what: 'The certificate of the application is expired or not valid yet, so it is not certain who answers.',
      todo: 'Renew the certificate of the application, and compare the clocks of both machines.',
    },
    'upstream-certificate-name': {
      status: 502,
      title: 'Bad Gateway',
      what: 'The certificate of the application is for another name than the internal host of the provider.',
      todo: 'Use a name the certificate holds as the internal host, or give the application a certificate for this one.',
    },
    'upstream-certificate-untrusted': {
      status: 502,
      title: 'Bad Gateway',
      what: 'The certificate of the application is signed by an authority that is not known here, or by itself.',
      todo: 'Give the certificate of that authority in the setting "upstream_ca" of the provider.',
    },
    'upstream-not-https': {
      status: 502,
      title: 'Bad Gateway',
      what: 'The application does not speak https on the port of the internal host.',
      todo: 'Correct the internal host of the provider: http instead of https, or another port.',
    },
    'upstream-upgrade': {
      status: 502,
      title: 'Bad Gateway',
      what: 'The application answered the request for a WebSocket in a way that is none.',
      todo: 'Check the internal host of the provider and the log of the application.',
    },
    'websocket-origin': {
      status: 403,
      title: 'Not from this page',
      what: 'A page of another address tried to open a WebSocket to this application.',
      todo: 'If that page is yours, add its origin to the setting "websocket_origins" of the provider. Otherwise compare the external host of the provider with the address you open.',
    },
    'internal-error': {
      status: 500,
      title: 'Something went wrong',
      what: 'The outpost met an error it did not expect. The request was not let through.',
      todo: 'Try again.',
    },
  },
};

export const outpostTexts = english;
export type OutpostErrorCode = keyof (typeof english)['errors'];
