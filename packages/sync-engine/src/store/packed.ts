/**
 * A column of short byte strings as one parameter. node-postgres sends a Buffer as it is, but an array of them as text: in
 * hexadecimal, escaped and copied several times.
 *
 *     unnest($1::bigint[], $2::int[], $3::int[]) AS u(no, at, bytes), with `sliceOf('$4')` in place of the column
 */
export interface PackedColumn {
  readonly bytes: Buffer
  /** Where each begins, from 1 as in SQL. */
  readonly starts: readonly number[]
  readonly lengths: readonly number[]
}

export function packColumn(values: readonly Buffer[]): PackedColumn {
  let start = 1
  const starts = values.map(({ length }) => {
    start += length
    return start - length
  })
  return { bytes: Buffer.concat(values), starts, lengths: values.map(({ length }) => length) }
}

/** The value of row `u`, whose columns are `at` and `bytes`. */
export const sliceOf = (parameter: string): string => `substring(${parameter}::bytea FROM u.at FOR u.bytes)`
