/**
 * Validation of what comes in: zod decides, and every problem is reported at once by field in plain sentences.
 *
 * Bodies: keys that we publish as read-only are ignored, so that whatever a GET answered can be sent back with PUT
 * (Terraform does). Any other unknown key is refused: a misspelt setting must not be silently without effect.
 * Query parameters: the published ones are known everywhere; an unknown one is refused, since a misspelt filter
 * would answer everything, and a script would then act on everything.
 */
import type { FastifySchemaCompiler } from 'fastify';
import { z } from 'zod';
import { InvalidInput } from '../../contract/errors.ts';

/** Zod issue with its input, as the error map gets it. */
type Issue = z.core.$ZodRawIssue;

/** One sentence a person can act on; `undefined` keeps the sentence the schema itself gives. */
function sentence(issue: Issue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return 'This field is required.';
      if (issue.input === null) return 'This field may not be null.';
      return `Expected ${TYPE_NAMES[issue.expected] ?? issue.expected}.`;
    case 'too_small':
      if (issue.origin === 'string' && issue.minimum === 1) return 'This field may not be blank.';
      return `Must be at least ${issue.minimum}${issue.origin === 'string' ? ' characters long' : ''}.`;
    case 'too_big':
      return `Must be at most ${issue.maximum}${issue.origin === 'string' ? ' characters long' : ''}.`;
    case 'invalid_value':
      return `Not a valid choice. Choose one of: ${issue.values.map(String).join(', ')}.`;
    default:
      return undefined;
  }
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

/** Problems by top-level field; what lies deeper names its place in the sentence. */
function byField(issues: readonly z.core.$ZodIssue[]): Record<string, string[]> {
  const fields: Record<string, string[]> = {};
  const add = (field: string, text: string) => (fields[field] ??= []).push(text);
  for (const issue of issues) {
    const [first, ...rest] = issue.path;
    const where = rest.length > 0 ? `${rest.join('.')}: ` : '';
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        if (first === undefined) add(key, 'Unknown field.');
        else add(String(first), `${where}${key}: Unknown field.`);
      }
    } else {
      add(first === undefined ? 'non_field_errors' : String(first), where + issue.message);
    }
  }
  return fields;
}

/** Checks a value with a zod schema. @throws InvalidInput with every problem by field */
export function check<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value, { error: sentence, reportInput: false });
  if (!result.success) throw new InvalidInput(byField(result.error.issues));
  return result.data;
}

/** Fastify validator compiler: as {@link check}, for body, query and path parameters. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema }) => {
  return (value: unknown) => {
    try {
      return { value: check(schema, value) };
    } catch (error) {
      if (error instanceof InvalidInput) return { error };
      throw error;
    }
  };
};

/**
 * Schema of a body.
 * @param shape the writable keys; required ones are required in POST and PUT
 * @param readOnly published keys of the object that are ignored when sent
 */
export function writable<S extends z.ZodRawShape>(shape: S, readOnly: readonly string[]) {
  const ignored = new Set(readOnly);
  const drop = (value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).filter(([key]) => !ignored.has(key)))
      : value;
  return {
    /** POST and PUT. An optional key that a PUT leaves out keeps its value, as published. */
    full: z.preprocess(drop, z.strictObject(shape)),
    /** PATCH */
    partial: z.preprocess(drop, z.strictObject(shape).partial()),
  };
}

/** The same object for functions that tell "absent" from "undefined"; JSON knows only the former. */
export function defined<T extends object>(input: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined)) as never;
}
