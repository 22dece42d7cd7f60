/**
 * Lists: the published page envelope, `page`, `page_size`, `search`, `ordering` (spec/server.md 7.1 and 10).
 *
 * 100 entries a page unless asked otherwise, as published, and at most 1,000. The published cap of 100 is what makes
 * clients that never turn the page lose applications silently once there are more; a larger one answers the whole
 * list to those that ask for it, and still bounds an answer. A larger `page_size` is an error rather than quietly less.
 */
import type { SelectQueryBuilder } from 'kysely';
import { sql } from 'kysely';
import { z } from 'zod';
import type { Page } from '../../contract/api.ts';
import { CodedError } from '../../contract/errors.ts';
import { invalid } from './errors.ts';

const DEFAULT_PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1000;

const invalidPage = () => new CodedError('invalid-page', 404, 'Invalid page.');

/** Query of every list: filters of the resource beside paging. */
export function listQuery<S extends z.ZodRawShape>(filters: S) {
  return z.strictObject({
    page: z.string().optional(),
    page_size: z
      .string()
      .regex(/^[1-9]\d{0,5}$/, { error: 'Expected a whole number above 0.' })
      .transform(Number)
      .refine((n) => n <= MAX_PAGE_SIZE, { error: `Must be at most ${MAX_PAGE_SIZE}.` })
      .optional()
      .meta({ type: 'integer', default: DEFAULT_PAGE_SIZE, maximum: MAX_PAGE_SIZE }),
    search: z.string().max(500).optional(),
    ordering: z.string().max(200).optional(),
    ...filters,
  });
}

export interface Paging {
  page?: string | undefined;
  page_size?: number | undefined;
}

/** Schema of the envelope round the items. */
export const pageOf = <S extends z.ZodType>(item: S) =>
  z.strictObject({
    pagination: z.strictObject({
      next: z.int(),
      previous: z.int(),
      count: z.int(),
      current: z.int(),
      total_pages: z.int(),
      start_index: z.int(),
      end_index: z.int(),
    }),
    results: z.array(item),
    autocomplete: z.strictObject({}),
  });

/** Where a page begins. @throws CodedError 404 for a page that is none, as published */
function window(paging: Paging, count: number) {
  const size = paging.page_size ?? DEFAULT_PAGE_SIZE;
  const totalPages = Math.max(1, Math.ceil(count / size));
  const text = paging.page ?? '1';
  const page = text === 'last' ? totalPages : /^[1-9]\d{0,8}$/.test(text) ? Number(text) : 0;
  if (page < 1 || page > totalPages) throw invalidPage();
  return { size, page, totalPages, offset: (page - 1) * size };
}

function envelope<T>(at: ReturnType<typeof window>, count: number, results: T[]): Page<T> {
  return {
    pagination: {
      next: at.page < at.totalPages ? at.page + 1 : 0,
      previous: at.page > 1 ? at.page - 1 : 0,
      count,
      current: at.page,
      total_pages: at.totalPages,
      start_index: count === 0 ? 0 : at.offset + 1,
      end_index: at.offset + results.length,
    },
    results,
    autocomplete: {},
  };
}

/**
 * One page of a query.
 * @param query filtered and ordered, without limit
 * @param shape makes the published objects of one page's rows
 */
export async function pageOfQuery<DB, TB extends keyof DB, O, T>(
  query: SelectQueryBuilder<DB, TB, O>,
  paging: Paging,
  shape: (rows: O[]) => Promise<T[]> | T[],
): Promise<Page<T>> {
  const counted: { total: number }[] = await query
    .clearSelect()
    .clearOrderBy()
    .select(sql<number>`count(*)`.as('total'))
    .$castTo<{ total: number }>()
    .execute();
  const count = Number(counted[0]?.total ?? 0);
  const at = window(paging, count);
  const rows = await query.limit(at.size).offset(at.offset).execute();
  return envelope(at, count, await shape(rows));
}

/** One page of what is in memory already. */
export async function pageOfItems<R, T>(
  items: readonly R[],
  paging: Paging,
  shape: (rows: R[]) => Promise<T[]> | T[],
): Promise<Page<T>> {
  const at = window(paging, items.length);
  return envelope(at, items.length, await shape(items.slice(at.offset, at.offset + at.size)));
}

/**
 * Reads `ordering=-name,pk`.
 * @param columns public name -> column
 * @param fallback used when nothing is asked for
 */
export function ordering<C extends string>(
  text: string | undefined,
  columns: Readonly<Record<string, C>>,
  fallback: readonly (readonly [C, 'asc' | 'desc'])[],
): readonly (readonly [C, 'asc' | 'desc'])[] {
  if (text === undefined || text === '') return fallback;
  return text.split(',').map((part) => {
    const down = part.startsWith('-');
    const name = down ? part.slice(1) : part;
    const column = Object.hasOwn(columns, name) ? columns[name] : undefined;
    if (column === undefined) {
      throw invalid(
        'ordering',
        `Cannot order by ${JSON.stringify(name)}. Choose of: ${Object.keys(columns).join(', ')}.`,
      );
    }
    return [column, down ? 'desc' : 'asc'] as const;
  });
}

/** LIKE pattern that finds the text anywhere; `%`, `_` and `\` in it are themselves (use with ESCAPE '\'). */
export const containing = (text: string): string => `%${text.replace(/[\\%_]/g, '\\$&')}%`;
