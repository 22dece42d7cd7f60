/**
 * How every process writes its log: JSON lines with the published member names (spec/outpost.md 15.3).
 * Options for pino, as plain data.
 * @param part which process it is: `supervisor`, `worker`, `control-plane`
 */
export function logFormat(level: string, part: string) {
  return {
    level,
    base: { part, pid: process.pid },
    messageKey: 'event',
    timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label === 'warn' ? 'warning' : label }) },
  };
}
