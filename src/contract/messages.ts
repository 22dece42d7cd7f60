/**
 * Frames of the control link `/ws/outpost/<pk>/` (spec/server.md 9): text JSON `{instruction, args}`.
 */
export const INSTRUCTION = {
  ACK: 0,
  HELLO: 1,
  TRIGGER_UPDATE: 2,
  PROVIDER_SPECIFIC: 3,
  SESSION_END: 4,
  /** our extension: a batch of identity events, see extension.ts; never sent to an outpost that did not ask */
  IDENTITY_EVENTS: 1001,
} as const;

export interface Frame {
  instruction: number;
  args: Readonly<Record<string, unknown>>;
}

/** Seconds between two HELLOs, and how long the server counts an instance as alive after one. */
export const HELLO_INTERVAL_S = 10;
export const HELLO_TIMEOUT_S = 15;

/** Largest frame either side accepts, bytes. */
export const MAX_FRAME_BYTES = 16 * 1024 * 1024;

/**
 * Parses one frame. A missing `args` is an empty object (spec/server.md 9).
 * @returns `undefined` when the text is no frame
 */
export function parseFrame(text: string): Frame | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { instruction, args } = value as { instruction?: unknown; args?: unknown };
  if (typeof instruction !== 'number' || !Number.isInteger(instruction)) return undefined;
  if (args !== undefined && args !== null && (typeof args !== 'object' || Array.isArray(args))) return undefined;
  return { instruction, args: (args ?? {}) as Readonly<Record<string, unknown>> };
}
