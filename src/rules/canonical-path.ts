/** The path an application will act on, as path rules see it (spec/security.md C). */

/** How a raw path reads. */
export type PathReading =
  /** `readings`: every form an application may understand; a rule holds only if it holds for all */
  | { kind: 'plain'; path: string; readings: readonly string[] }
  /**
   * servers differ in how they read it: nobody gets in by it without a login. `readings`: the forms there are, if all
   * of them are known, as with an encoded slash
   */
  | { kind: 'ambiguous'; readings: readonly string[] | undefined }
  /** no honest client sends it: always refused */
  | { kind: 'malformed' };

const MALFORMED: PathReading = { kind: 'malformed' };
const AMBIGUOUS: PathReading = { kind: 'ambiguous', readings: undefined };

/** What most paths are: nothing to decode, nothing to read twice. */
const SIMPLE = /^(?:\/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9._~!$&'()*+,=:@-]*)*\/?$/;
/** Another decoding would change it again: somebody counts on two servers decoding one after the other. */
const STILL_ENCODED = /%[0-9a-f]{2}/i;
const ENCODED_SEPARATOR = /%(?:2f|5c)/i;
/** ASCII by itself, which servers decode however invalid the rest of the path is. */
const ENCODED_ASCII = /%[0-7][0-9a-f]/gi;
/** Never in an address as it travels: what some servers bend to `/`, and where some stop to read. */
const FORBIDDEN = /[\\# ]/;
const CONTROL = /[\u0000-\u001f\u007f]/;
/** Decoding more often than this finds nothing an honest server does. */
const MAX_ROUNDS = 3;

/**
 * Reads a raw request path.
 * @param rawPath as received, without query
 */
export function readPath(rawPath: string): PathReading {
  if (!rawPath.startsWith('/')) return MALFORMED;
  if (SIMPLE.test(rawPath)) return { kind: 'plain', path: rawPath, readings: [rawPath] };

  let text = rawPath;
  let path: string | undefined;
  let doubtful = /[\u0080-\uffff]/.test(rawPath);
  for (let round = 0; round <= MAX_ROUNDS; round++) {
    if (CONTROL.test(text) || (round === 0 && FORBIDDEN.test(text)) || hasDotSegment(text)) return MALFORMED;
    if (!text.includes('%')) break;
    let decoded: string;
    try {
      decoded = decodeURIComponent(text);
    } catch {
      // what decodes byte by byte goes on where decoding as a whole stops
      const partly = decodeAscii(text);
      if (partly !== text) {
        doubtful = true;
        text = partly;
        continue;
      }
      // a stray `%` after the first round is a literal one; in the first it is no valid encoding
      if (round === 0) doubtful = true;
      break;
    }
    if (round === 0) path = decoded;
    else if (STILL_ENCODED.test(text)) doubtful = true;
    if (decoded === text) break;
    text = decoded;
    if (round === MAX_ROUNDS) doubtful = true;
  }
  if (doubtful) return AMBIGUOUS;
  if (ENCODED_SEPARATOR.test(rawPath)) return { kind: 'ambiguous', readings: separatorReadings(rawPath) };
  const canonical = path ?? rawPath;
  return { kind: 'plain', path: canonical, readings: readingsOf(canonical) };
}

function decodeAscii(text: string): string {
  return text.replace(ENCODED_ASCII, (code) => String.fromCharCode(parseInt(code.slice(1), 16)));
}

/**
 * `.` and `..` as whole segments, also with path parameters (`..;x`), which Java servers drop before they resolve, and
 * with spaces behind, which Windows drops.
 */
function hasDotSegment(path: string): boolean {
  if (!path.includes('.')) return false;
  return path.split(/[/\\]/).some((segment) => {
    const parameters = segment.indexOf(';');
    const name = (parameters < 0 ? segment : segment.slice(0, parameters)).trim();
    return name === '.' || name === '..';
  });
}

/** Some servers merge slashes, some drop path parameters, some do both. */
function readingsOf(path: string): readonly string[] {
  const readings = new Set([path]);
  const bare = path.includes(';') ? path.replace(/;[^/]*/g, '') : path;
  readings.add(bare);
  for (const form of [path, bare]) if (form.includes('//')) readings.add(form.replace(/\/{2,}/g, '/'));
  return [...readings];
}

/** An encoded slash or backslash stays as it is, is decoded, and a backslash may be a slash (Windows). */
function separatorReadings(rawPath: string): readonly string[] {
  const readings = new Set<string>();
  for (const slash of ['%25$1', '/']) {
    for (const backslash of ['%25$1', '%5c', '/']) {
      const form = rawPath.replace(/%(2f)/gi, slash).replace(/%(5c)/gi, backslash);
      for (const reading of readingsOf(decodeURIComponent(form))) readings.add(reading);
    }
  }
  return [...readings];
}
