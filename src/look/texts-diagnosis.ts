/**
 * What outposts find out when a login does not hold, or when no application fits: part of the catalogue in
 * {@link file://./texts.ts}. Each says what was seen, and what to do about it.
 */
export interface Finding {
  what: string;
  todo: string;
}

/** Settings are named as in docs/reference/settings.md. */
const TRUST = 'LISTEN__TRUSTED_PROXY_CIDRS (and STRICT_PEERS, if that is set)';

export const diagnosisTexts = {
  scheme: {
    what: 'This request came over http, but the external host of the application begins with https. Browsers send our cookies over https only.',
    todo: 'Open the address with https. If you did, let the reverse proxy send X-Forwarded-Proto.',
  },
  schemeIgnored: (peer: string) => ({
    what: `This request seems to come over http, but the external host begins with https. What ${peer} says about it is ignored, since this address is in none of the trusted networks.`,
    todo: `If ${peer} is your reverse proxy, add it to ${TRUST}.`,
  }),
  host: (asked: string, external: string) => ({
    what: `This request is for ${asked}, but the external host of the application is ${external}. Browsers send cookies of one host to that host only.`,
    todo: `Open ${external}, or correct the external host of the provider. If you did open it, let the reverse proxy pass the Host header unchanged.`,
  }),
  noCookies: {
    what: 'Your browser sent no cookie at all.',
    todo: 'Allow cookies for this site. If they are allowed, the reverse proxy takes the headers Cookie or Set-Cookie away.',
  },
  othersOnly: {
    what: 'Your browser sent cookies, but not the one that was set here.',
    todo: 'Allow cookies for this site, and look whether the reverse proxy passes every Set-Cookie header of a redirect.',
  },
  largeCookie: {
    what: 'A small cookie came back, the larger one with your session did not.',
    todo: 'Let the reverse proxy take larger headers (in nginx: proxy_buffer_size 32k). If it does, limit the groups that are sent to this application.',
  },
  unreadable: {
    what: 'The session cookie came back, but it cannot be opened: it was made with another key.',
    todo: 'Delete the cookies of this site. If it stays, several outposts answer for this host with different configurations.',
  },
  clock: {
    what: 'What was made a moment ago counts as made in the future, or is over already: two clocks differ.',
    todo: 'Set the clocks of this machine and of the machine of the identity server.',
  },
  tooSlow: {
    what: 'The sign-in was begun more than 15 minutes ago.',
    todo: 'Begin again.',
  },

  unknownHost: {
    ignored: (peer: string, forwarded: string) => ({
      what: `The request names ${forwarded} in X-Forwarded-Host. That is ignored, since ${peer} is in none of the trusted networks.`,
      todo: `If ${peer} is your reverse proxy, add it to ${TRUST}.`,
    }),
    passHost: {
      what: 'This looks like the name of the reverse proxy or of this outpost, not like one that people type.',
      todo: 'Let it pass the Host header people typed (in nginx: proxy_set_header Host $host).',
    },
    near: (host: string) => ({
      what: `There is an application at ${host}.`,
      todo: 'Compare the two, letter by letter, port included.',
    }),
    peer: 'Asked by',
    trusted: 'a trusted reverse proxy',
    untrusted: 'not a trusted reverse proxy',
    sentence: (host: string) => `No application is configured for the host "${host}".`,
  },
};
