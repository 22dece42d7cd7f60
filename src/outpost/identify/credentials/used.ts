/**
 * The credentials a session was made from stay ours when they come along with its cookie, as they do from clients that
 * are given both (spec/security.md M): the session remembers them by a digest, and they never reach the application.
 * Any other Authorization beside a session is the application's (issue table of seed 002).
 */
import { hash, randomBytes } from 'node:crypto';
import type { Identity } from '../identify.ts';
import { secretIn, secretOf } from './presented.ts';
import type { Presented } from './presented.ts';

/** Salt and digest, kept in the sealed session. */
export type UsedAuthorization = readonly [salt: string, digest: string];

export function markUsed(presented: Presented): UsedAuthorization {
  const salt = randomBytes(12).toString('base64url');
  return [salt, digest(salt, secretOf(presented))];
}

/** @param authorization value of the header; empty or undefined = none */
export function withUsed(who: Identity, authorization: string | undefined): Identity {
  if (authorization === undefined || authorization === '' || who.kind === 'nobody') return who;
  const used = who.live?.session.usedAuthorization;
  if (used === undefined) return who;
  const secret = secretIn(authorization);
  return secret !== undefined && digest(used[0], secret) === used[1] ? { ...who, consumed: true } : who;
}

const digest = (salt: string, secret: string) => hash('sha256', `${salt} ${secret}`, 'base64url');
