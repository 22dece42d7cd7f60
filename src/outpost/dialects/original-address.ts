/** Which address was asked for, as nginx tells it (spec/outpost.md 5.1). */
import type { DecisiveHeaders } from '../listen/request.ts';
import { readPath } from '../sites/canonical-path.ts';
import type { PathReading } from '../sites/canonical-path.ts';

export type OriginalAddress =
  | { kind: 'named'; path: PathReading }
  | { kind: 'missing' }
  /** cannot be read, or two addresses that differ */
  | { kind: 'invalid' };

/**
 * X-Original-URI is a path with query, X-Original-URL an absolute address. A reverse proxy sets one of them; the other
 * may come from the client. So if both are there, they must agree.
 */
export function originalAddress({ originalUri, originalUrl }: DecisiveHeaders): OriginalAddress {
  const fromUri = originalUri === undefined || originalUri === '' ? undefined : originalUri;
  let fromUrl: string | undefined;
  if (originalUrl !== undefined && originalUrl !== '') {
    fromUrl = targetOf(originalUrl);
    if (fromUrl === undefined) return { kind: 'invalid' };
  }
  const target = fromUri ?? fromUrl;
  if (target === undefined) return { kind: 'missing' };
  if (fromUri !== undefined && fromUrl !== undefined && fromUri !== fromUrl) return { kind: 'invalid' };
  if (!target.startsWith('/')) return { kind: 'invalid' };
  const mark = target.indexOf('?');
  return { kind: 'named', path: readPath(mark < 0 ? target : target.slice(0, mark)) };
}

/** Path and query of an absolute address, byte for byte: a URL parser would already resolve what must be seen here. */
function targetOf(address: string): string | undefined {
  const match = /^https?:\/\/([^/?#\\\s]+)([/?].*)?$/i.exec(address);
  if (match === null || !URL.canParse(`http://${match[1] ?? ''}/`)) return undefined;
  const rest = match[2] ?? '/';
  return rest.startsWith('?') ? `/${rest}` : rest;
}
