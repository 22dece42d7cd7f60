/** Protections that can be broken one at a time. */
import type { Switch } from './support/switch.ts';
import { credentialSwitches } from './switches-credentials.ts';
import { expressionSwitches } from './switches-expressions.ts';
import { madeSwitches } from './switches-made.ts';
import { outpostSwitches } from './switches-outposts.ts';
import { requestSwitches } from './switches-requests.ts';
import { ruleSwitches } from './switches-rules.ts';
import { sessionSwitches } from './switches-sessions.ts';

export const switches: readonly Switch[] = [
  ...requestSwitches,
  ...ruleSwitches,
  ...sessionSwitches,
  ...credentialSwitches,
  ...expressionSwitches,
  ...outpostSwitches,
  ...madeSwitches,
];
