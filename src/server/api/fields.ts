/** Kinds of fields that several resources share. */
import { z } from 'zod';

/** epoch ms -> ISO 8601 in UTC with `Z` (spec/server.md 10) */
export const iso = (ms: number): string => new Date(ms).toISOString();
export const isoOrNull = (ms: number | null): string | null => (ms === null ? null : iso(ms));

/** A point in time in a body: RFC 3339 text, read as epoch ms. */
export const moment = z
  .string()
  .refine((text) => /^\d{4}-\d\d-\d\dT/.test(text) && !Number.isNaN(Date.parse(text)), {
    error: 'Not a date and time. Write it like 2030-01-31T12:00:00Z.',
  })
  .meta({ format: 'date-time' });

/** Points in time in answers. */
export const timestamp = z.string().meta({ format: 'date-time' });

/** UUID in a body or query; compared in lower case. */
export const uuid = z
  .string()
  .regex(/^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i, { error: 'Must be a valid UUID.' })
  .transform((text) =>
    text
      .toLowerCase()
      .replaceAll('-', '')
      .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
  )
  .meta({ format: 'uuid' });

/** UUID in answers. */
export const uuidOut = z.string().meta({ format: 'uuid' });

/** Integer primary keys are 32-bit in clients (spec/server.md 2.1). */
export const intPk = z.int32().min(1);

export const jsonObject = z.record(z.string(), z.unknown());

/** A key of the contract whose feature is not part of Gatehouse: only its empty value is accepted. */
export const emptyList = z.array(z.unknown()).max(0, { error: 'Not supported here: send an empty list.' });

/** A reference that can only be empty, since no object of its kind exists here. `""` counts as null. */
export const emptyReference = z
  .union([z.null(), z.string()])
  .refine((value) => value === null || value === '', { error: 'Invalid pk: object does not exist.' })
  .transform(() => null);

/** A reference that may be empty: `""` counts as null. */
export const reference = z.union([uuid, z.literal('').transform(() => null), z.null()]);

/** Path parameters. Text that cannot be a key is simply not found. */
export const byUuid = z.object({ uuid: z.string() });
export const byPk = z.object({ pk: z.string() });

/** @returns the number, or 0 (never a key) when the text is no integer key */
export const readPk = (text: string): number => (/^[1-9]\d{0,9}$/.test(text) ? Number(text) : 0);

/** Query flags: `true`/`false`, as Python and JavaScript spell them. */
export const flag = z
  .enum(['true', 'false', 'True', 'False', '1', '0'])
  .transform((text) => text === 'true' || text === 'True' || text === '1')
  .meta({ type: 'boolean' });

/** Query parameter that may be repeated. */
export const repeatable = <S extends z.ZodType>(item: S) =>
  z.preprocess((value) => (value === undefined || Array.isArray(value) ? value : [value]), z.array(item).optional());
