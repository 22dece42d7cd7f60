/** A verified token -> a session. */
import { readClaims } from '../../contract/claims.ts';
import { CodedError } from '../../contract/errors.ts';
import type { TokenExtension } from '../../contract/extension.ts';
import { parseAdditionalHeaders } from '../../contract/headers.ts';
import type { HeaderEntry } from '../../contract/headers.ts';
import { headersFromAttributes } from '../headers.ts';
import { isRestorable, NO_CURSOR } from '../session/session.ts';
import type { Session } from '../session/session.ts';
import type { Site } from '../sites/site.ts';

/**
 * @param payload claims of the token, verified
 * @param extension member `gatehouse` of the token answer; absent from servers that are not ours
 * @param now epoch ms
 * @throws CodedError `login-token-invalid` when the token cannot be kept
 */
export function newSession(
  site: Site,
  token: string,
  payload: Readonly<Record<string, unknown>>,
  extension: TokenExtension | undefined,
  now: number,
): Session {
  const claims = readClaims(payload);
  if (claims.sub === '' || !isRestorable(token)) {
    throw new CodedError('login-token-invalid', 502, 'The identity server sent a token that cannot be used.');
  }
  return {
    provider: site.pk,
    token,
    claims,
    extra: extension === undefined ? headersFromAttributes(site.provider, claims) : checked(extension.headers),
    ruleGroups: isTexts(extension?.rule_groups) ? extension.rule_groups : undefined,
    applications: isTexts(extension?.applications) ? extension.applications : undefined,
    credentials: isTexts(extension?.credentials) ? extension.credentials : undefined,
    cursor: isCursor(extension?.cursor) ? extension.cursor : NO_CURSOR,
    issuedAt: now,
    expiresAt: claims.exp * 1000,
  };
}

/** Checked when saved, and here again when used (spec/security.md A). */
function checked(headers: unknown): readonly HeaderEntry[] {
  if (!Array.isArray(headers)) return [];
  const entries = headers.filter(
    (entry): entry is [string, string] =>
      Array.isArray(entry) && typeof entry[0] === 'string' && typeof entry[1] === 'string',
  );
  return parseAdditionalHeaders(Object.fromEntries(entries)).headers;
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string');

function isCursor(value: TokenExtension['cursor'] | undefined): value is TokenExtension['cursor'] {
  return typeof value === 'object' && typeof value.epoch === 'string' && Number.isInteger(value.n);
}
