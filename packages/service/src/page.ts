/** Lists: `?limit=&cursor=` in, `{data, nextCursor}` out. A cursor is opaque to callers; inside it is the last row's sort key. */
import { AppError } from '@audience-sync/errors/app-error'
import { z } from 'zod'

const DEFAULT_LIMIT = 50
const HIGHEST_LIMIT = 200
const LONGEST_CURSOR = 512

/** Query of a list; `zPage.extend({ status: … })` adds filters. Unknown parameters are refused. */
export const zPage = z.strictObject({
  limit: z
    .string()
    .regex(/^\d{1,4}$/)
    .transform(Number)
    .pipe(z.int().min(1).max(HIGHEST_LIMIT))
    .prefault(String(DEFAULT_LIMIT))
    .meta({ description: `how many at most, up to ${HIGHEST_LIMIT}`, default: DEFAULT_LIMIT }),
  cursor: z.string().max(LONGEST_CURSOR).optional().meta({ description: '`nextCursor` of the page before' }),
})

export const encodeCursor = (key: unknown): string => Buffer.from(JSON.stringify(key)).toString('base64url')

/** The sort key in a cursor; `validation_failed` when it is not one that we gave out for this list. */
export function decodeCursor<S extends z.ZodType>(cursor: string, schema: S): z.output<S> {
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
  } catch (cause) {
    throw new AppError('validation_failed', 'The cursor is not one of this list.', {
      cause,
      extra: { errors: [{ in: 'query', path: 'cursor', message: 'not a cursor of this list' }] },
    })
  }
}

/** Response schema of a list. */
export const pageOf = <S extends z.ZodType>(item: S) => z.object({ data: z.array(item), nextCursor: z.string().nullable() })

/** Makes the answer of `limit + 1` rows: the extra row only says that there is a next page. */
export function toPage<T>(rows: readonly T[], limit: number, keyOf: (last: T) => unknown): { data: T[]; nextCursor: string | null } {
  const data = rows.slice(0, limit)
  const last = data.at(-1)
  return { data, nextCursor: rows.length > limit && last !== undefined ? encodeCursor(keyOf(last)) : null }
}
