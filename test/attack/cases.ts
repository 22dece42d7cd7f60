/** All cases, in the order they run: those that kill processes come last. */
import { cases as a } from './a-identity-headers.ts';
import { cases as b } from './b-errors-deny.ts';
import { cases as c } from './c-paths.ts';
import { cases as d } from './d-forwarded.ts';
import { cases as announced } from './d-announced.ts';
import { cases as e } from './e-redirects.ts';
import { cases as f } from './f-oauth.ts';
import { cases as g } from './g-attempts.ts';
import { cases as h } from './h-cookies.ts';
import { cases as i } from './i-revocation.ts';
import { cases as j } from './j-protocol.ts';
import { cases as http2 } from './j-http2.ts';
import { cases as k } from './k-configuration.ts';
import { cases as expressions } from './k-expressions.ts';
import { cases as l } from './l-login.ts';
import { cases as m } from './m-authorization.ts';
import { cases as credentials } from './m-credentials.ts';
import { cases as machine } from './m-machine.ts';
import { cases as n } from './n-behind-nginx.ts';
import { cases as o } from './o-relaying.ts';
import { cases as p } from './p-websockets.ts';
import { cases as q } from './q-domain-level.ts';
import { cases as made } from './r-made-from-tokens.ts';
import { cases as s } from './s-clients.ts';
import { cases as t } from './t-access-rules.ts';
import { cases as outposts } from './u-outposts.ts';
import type { Case } from './support/case.ts';

export const cases: readonly Case[] = [
  a,
  b,
  c,
  d,
  announced,
  n,
  o,
  q,
  s,
  t,
  e,
  f,
  g,
  h,
  j,
  http2,
  p,
  k,
  expressions,
  m,
  machine,
  made,
  credentials,
  outposts,
  l,
  i,
].flat();
