/**
 * Duration text of the published contract: `hours=1;minutes=30` (spec/server.md 3.1).
 */
const UNIT_MS: Readonly<Record<string, number>> = {
  microseconds: 0.001,
  milliseconds: 1,
  seconds: 1000,
  minutes: 60_000,
  hours: 3_600_000,
  days: 86_400_000,
  weeks: 604_800_000,
};

/**
 * Parses duration text.
 * @returns milliseconds, or `undefined` when the text is not a duration (a pair without `=`, a value that is no
 *   number, no known unit at all). Unknown units beside a known one are skipped, as published.
 */
export function parseDuration(text: string): number | undefined {
  let total = 0;
  let known = false;
  for (const pair of text.split(';')) {
    const at = pair.indexOf('=');
    if (at < 0) return undefined;
    const unit = UNIT_MS[pair.slice(0, at).trim().toLowerCase()];
    const raw = pair.slice(at + 1).trim();
    const value = Number(raw);
    if (raw === '' || !Number.isFinite(value)) return undefined;
    if (unit === undefined) continue;
    known = true;
    total += value * unit;
  }
  return known ? total : undefined;
}
