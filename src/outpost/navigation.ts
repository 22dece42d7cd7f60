/** What kind of request a browser makes (Fetch Metadata; design/architecture.md, "Decision x dialect"). */
import type { ProviderSettings } from '../contract/provider-settings.ts';
import type { NormalisedRequest } from './listen/request.ts';

export type RequestKind =
  /** the address bar: may be sent to a login */
  | 'navigation'
  /** a document inside another: a login page would not show there */
  | 'framed'
  /** script, image, preflight, WebSocket: a redirect would only confuse it */
  | 'background'
  /** says nothing about itself: curl, Envoy's check, old clients */
  | 'unknown';

const FRAMES = new Set(['iframe', 'frame', 'embed', 'object', 'fencedframe']);

export function requestKind({ headers }: Pick<NormalisedRequest, 'headers'>): RequestKind {
  if (headers.upgrade !== undefined) return 'background';
  if (headers.fetchMode !== undefined) {
    if (headers.fetchMode !== 'navigate' && headers.fetchMode !== 'nested-navigate') return 'background';
    return headers.fetchMode === 'nested-navigate' || FRAMES.has(headers.fetchDest ?? '') ? 'framed' : 'navigation';
  }
  if (headers.requestedWith?.toLowerCase() === 'xmlhttprequest') return 'background';
  // browsers send Fetch Metadata to https and localhost only, so this is what is left on plain http
  const accept = headers.accept?.trim() ?? '';
  // scripts say where they come from; a form that does asks for text/html too
  if (accept === '' || accept === '*/*') return headers.origin === undefined ? 'unknown' : 'background';
  return /\btext\/html\b|\bapplication\/xhtml\+xml\b/i.test(accept) ? 'navigation' : 'background';
}

/**
 * How somebody is asked to log in: `challenge` = 401 for programs, `frame` = 401 with a page that leads out of a frame,
 * `unauthorized` = 401 that asks for other credentials than those sent.
 */
export type LoginAnswer = 'redirect' | 'challenge' | 'frame' | 'unauthorized';

/** @param setting `login_answer` of the provider */
export function loginAnswer(
  kind: RequestKind,
  setting: ProviderSettings['login_answer'],
): Exclude<LoginAnswer, 'unauthorized'> {
  if (setting === 'published' || kind === 'navigation' || kind === 'unknown') return 'redirect';
  return kind === 'framed' ? 'frame' : 'challenge';
}

/** Whether a page serves the sender better than JSON. */
export function wantsPage(request: Pick<NormalisedRequest, 'headers'>): boolean {
  const kind = requestKind(request);
  return kind === 'navigation' || kind === 'framed';
}

/**
 * Whether the person can be led through a login and back without losing anything. The method alone does not tell:
 * nginx asks with GET whatever the original was, so what only a form sends counts too.
 * @param method of the original request, where it is known
 */
export function isRepeatableNavigation(
  request: Pick<NormalisedRequest, 'headers' | 'method'>,
  method: string = request.method,
): boolean {
  const { headers } = request;
  if (method !== 'GET' && method !== 'HEAD') return false;
  return headers.contentType === undefined && headers.origin === undefined && requestKind(request) === 'navigation';
}
