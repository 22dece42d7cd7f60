/**
 * Every sentence a person can meet, in one catalogue: plain words, present tense, no blame. A second language is a
 * second object of type {@link Texts}.
 */
const english = {
  product: 'Gatehouse',
  requestId: 'Request',
  errorCode: 'Code',
  back: 'Go back',
  home: 'Your applications',

  durations: {
    /** @param seconds whole seconds from now */
    in: (seconds: number) => {
      if (seconds < 60) return `in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}`;
      const minutes = Math.ceil(seconds / 60);
      return `in ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}`;
    },
  },

  login: {
    title: 'Sign in',
    heading: 'Sign in',
    headingTo: (application: string) => `Sign in to continue to ${application}`,
    again: 'Please sign in again to continue.',
    username: 'Username or email',
    password: 'Password',
    submit: 'Sign in',
    usernameMissing: 'Enter your username or email address.',
    passwordMissing: 'Enter your password.',
    wrong: 'The username or the password is not right. Check both and try again.',
  },

  limited: {
    title: 'Too many attempts',
    what: {
      failures: 'There were too many attempts to sign in with a wrong password.',
      busy: 'More people are signing in at this moment than can be looked after.',
    },
    todo: (when: string) => `You can try again ${when}. Nothing else is needed.`,
  },

  logout: {
    title: 'Sign out',
    question: (name: string) => `You are signed in as ${name}. Signing out ends your sign-in for every application.`,
    questionApplication: (name: string, application: string) =>
      `You are signed in as ${name}. Do you want to sign out of ${application}?`,
    questionEverything: (name: string, application: string) =>
      `You are signed in as ${name}. Signing out of ${application} signs you out of all other applications too.`,
    submit: 'Sign out',
    stay: 'Stay signed in',
    done: 'You are signed out',
    doneHint: 'You can close this window, or sign in again.',
    doneApplication: (application: string) => `You are signed out of ${application}`,
    doneApplicationHint: 'You are still signed in to your other applications.',
    doneEverything: (application: string) => `You are signed out of ${application} and of all other applications.`,
    signInAgain: 'Sign in again',
    returnTo: (application: string) => `Open ${application}`,
    everything: 'Sign out of everything',
  },

  setup: {
    title: 'Set up Gatehouse',
    heading: 'Welcome. Set a password for the administrator',
    what: 'The administrator is called akadmin. With this account you add people, groups and applications.',
    email: 'Email (optional)',
    password: 'New password',
    passwordHint: (length: number) => `At least ${length} characters. A sentence of a few words is good.`,
    repeat: 'The same password again',
    submit: 'Set password and sign in',
    tooShort: (length: number) => `Please use at least ${length} characters.`,
    different: 'The two passwords are not the same.',
    emailWrong: 'This is not an email address.',
  },

  portal: {
    title: 'Your applications',
    signedInAs: (name: string) => `Signed in as ${name}`,
    signOut: 'Sign out',
    empty: 'No applications yet',
    emptyHint: 'The applications you may open appear here. If you miss one, ask the person who runs this server.',
    newWindow: 'opens in a new window',
  },

  denied: {
    title: 'No access',
    heading: (application: string) => `You may not open ${application}`,
    you: 'You are signed in as',
    asked: 'You asked for',
    switch: 'Use another account',
    ask: 'If you think you should have access, ask the person who runs this server, and tell them the request number below.',
    /** what the person reads for each reason word of an access decision */
    reasons: {
      'group-required': 'Access is given to members of certain groups. Your account is not in one of them.',
      'user-not-named': 'Access is given to certain people. Your account is not one of them.',
      'group-denied': 'Members of one of your groups are not let in.',
      'user-denied': 'Your account is named as not allowed.',
      'user-inactive': 'This account is switched off.',
      'rule-denies': 'A rule of this application lets nobody open this address.',
      'rule-needs-group': 'This address is open to members of certain groups only. Your account is not in one of them.',
      other: 'A rule of this application does not let your account in.',
    },
  },

  /** stable code -> what happened, what to do. The codes are searchable in the help. */
  errors: {
    'client-unknown': {
      title: 'Client ID Error',
      what: 'The application that sent you here is not known to this server.',
      todo: 'Go back to the application and try again. If this stays, the client ID in its configuration is wrong.',
    },
    'redirect-uri-wrong': {
      title: 'Redirect URI Error',
      what: 'The application asked us to send you to an address that is not registered for it, so we did not.',
      todo: 'Compare the external host of the provider with the address you opened: scheme, host name and port must be the same.',
    },
    'authorize-empty': {
      title: 'Nothing here',
      what: 'This address is used by applications to sign people in. It shows nothing by itself.',
      todo: 'Open the application you want to use.',
    },
    'authorize-failed': {
      title: 'Sign-in did not work',
      what: 'The request of the application could not be fulfilled.',
      todo: 'Go back to the application and try again.',
    },
    'hint-invalid': {
      title: 'Sign-out did not work',
      what: 'The request to sign you out carries a token this server did not issue.',
      todo: 'You can sign out here instead.',
    },
    'not-same-origin': {
      title: 'Not accepted',
      what: 'This form was not sent from our own page, so we did nothing.',
      todo: 'Open the page again and send the form from there. If it stays, check that your reverse proxy passes the Host header and X-Forwarded-Proto unchanged.',
    },
    'form-expired': {
      title: 'Please try again',
      what: 'The form could not be matched to your browser: it was open for too long, or cookies are blocked.',
      todo: 'Open the page again. If this stays, allow cookies for this site.',
    },
    'setup-closed': {
      title: 'Set-up is done',
      what: 'This set-up link was used already, or it never was a valid one.',
      todo: 'Sign in with the account akadmin. If you do not know its password, set a new one on the server.',
    },
    'not-found': {
      title: 'Not found',
      what: 'There is no page at this address.',
      todo: 'Check the address, or go to your applications.',
    },
    'not-ready': {
      title: 'Not ready yet',
      what: 'The server is starting, or has lost its connection, and cannot answer yet.',
      todo: 'Try again in a few seconds.',
    },
    'internal-error': {
      title: 'Something went wrong',
      what: 'The server met an error it did not expect. Nothing was changed.',
      todo: 'Try again. If it stays, tell the person who runs this server the request number below.',
    },
  },
};

export type Texts = typeof english;
export const texts: Texts = english;

export type ErrorCode = keyof Texts['errors'];
