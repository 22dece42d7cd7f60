/** What every route's schema carries: its published operation id and the shapes of its failures. */
import { z } from 'zod';

const GenericError = z.object({ detail: z.string() });
const ValidationError = z.record(z.string(), z.union([z.string(), z.array(z.string())]));

const problems = { 400: ValidationError, 403: GenericError, 404: GenericError };

/** 204 */
export const noContent = z.undefined().meta({ description: 'Done.' });

/**
 * @param id published operation id, e.g. `core_users_list`; its first word is the tag
 * @param answers schema by status code
 */
export const operation = <R extends Record<number, z.ZodType>>(id: string, summary: string, answers: R) => ({
  operationId: id,
  tags: [id.split('_', 1)[0] ?? id],
  summary,
  response: { ...problems, ...answers },
});
