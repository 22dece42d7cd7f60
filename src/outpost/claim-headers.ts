/** Values of the headers a provider sends beside the published ones (contract/header-presets.ts). */
import { headerValue, joinList, scalarText } from '../contract/headers.ts';
import type { SentHeader } from '../contract/header-presets.ts';

/**
 * @param token as the session keeps it, verified when it came
 * @returns a value for each header, safe for Node; empty for claims that are not there or are objects
 */
export function claimValues(sent: readonly SentHeader[], token: string): string[] {
  if (sent.length === 0) return [];
  const payload = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as object;
  const claims = new Map<string, unknown>(Object.entries(payload));
  return sent.map(({ claim, separator }) => headerValue(textOf(claims.get(claim), separator)));
}

function textOf(claim: unknown, separator: SentHeader['separator']): string {
  if (!Array.isArray(claim)) return scalarText(claim) ?? '';
  const members = claim.map(scalarText).filter((text) => text !== undefined && text !== '') as string[];
  return joinList(members, separator);
}
