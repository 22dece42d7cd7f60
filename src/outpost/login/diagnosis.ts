/** Why a browser comes back without what it was given: what can be seen of it in one request. Pure. */
import { diagnosisTexts } from '../../look/texts-diagnosis.ts';
import type { Finding } from '../../look/texts-diagnosis.ts';
import type { NormalisedRequest } from '../listen/request.ts';
import type { Reason } from '../reasons.ts';
import { ATTEMPT_LIFE_S } from '../session/attempt.ts';
import { isBelow } from '../../rules/cookie-domain.ts';
import type { Site } from '../sites/site.ts';

/** Clocks of two machines differ by this much without anybody noticing, ms. */
const TOLERANCE = 60_000;

export type FindingCode =
  'scheme' | 'host' | 'no-cookies' | 'cookies-of-others' | 'large-cookie' | 'key' | 'clock' | 'slow';
export type Diagnosis = readonly (Finding & { code: FindingCode })[];

type Asked = Pick<NormalisedRequest, 'scheme' | 'host' | 'trusted' | 'peer' | 'rawHeaders' | 'headers'>;

/** A callback that came without the cookie of its attempt. @param age of the attempt, ms */
export function diagnoseCallback(site: Site, request: Asked, age: number): Diagnosis {
  const late = age > ATTEMPT_LIFE_S * 1000;
  return [
    ...(age < -TOLERANCE ? [finding('clock', diagnosisTexts.clock)] : []),
    ...(late ? [finding('slow', diagnosisTexts.tooSlow)] : [...ofAddress(site, request), ...ofCookies(request)]),
  ];
}

/** A browser that signed in and has no session all the same. @param reason why it has none */
export function diagnoseLoop(site: Site, request: Asked, reason: Reason): Diagnosis {
  if (reason === 'session-unreadable') return [finding('key', diagnosisTexts.unreadable)];
  if (reason === 'session-expired') return [finding('clock', diagnosisTexts.clock)];
  // the loop itself is known from a cookie that did come back
  return [...ofAddress(site, request), finding('large-cookie', diagnosisTexts.largeCookie)];
}

function ofAddress(site: Site, request: Asked): Diagnosis {
  const found: (Finding & { code: FindingCode })[] = [];
  const { external, cookieScope } = site;
  if (external.scheme === 'https' && request.scheme === 'http') {
    const ignored = !request.trusted && says(request.rawHeaders, 'x-forwarded-proto');
    found.push(finding('scheme', ignored ? diagnosisTexts.schemeIgnored(request.peer) : diagnosisTexts.scheme));
  }
  // what the browser shows, where nginx tells it: a proxy may ask with a Host of its own
  const asked = URL.parse(request.headers.originalUrl ?? '')?.host ?? request.host;
  const name = asked.replace(/:\d+$/, '').replace(/\.$/, '');
  const shared = cookieScope.domain !== undefined && isBelow(name, cookieScope.domain);
  if (name !== external.hostname && !shared) {
    found.push(finding('host', diagnosisTexts.host(asked, external.host)));
  }
  return found;
}

function ofCookies({ headers }: Asked): Diagnosis {
  return headers.cookie === undefined
    ? [finding('no-cookies', diagnosisTexts.noCookies)]
    : [finding('cookies-of-others', diagnosisTexts.othersOnly)];
}

const finding = (code: FindingCode, { what, todo }: Finding) => ({ code, what, todo });

function says(rawHeaders: readonly string[], name: string): boolean {
  return rawHeaders.some((text, i) => i % 2 === 0 && text.toLowerCase() === name);
}
