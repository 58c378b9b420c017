/**
 * Who is in one audience, as rows of identifiers. The rules are the pessimistic reading of SYNC C1 and C2:
 * - a removal deletes every row that shares an identifier which matches alone (`ALONE_KEYS`); a removal without one deletes the equal row only;
 * - rows stay as they were sent; the same row twice is one row;
 * - a row that says all that an older row said, and more (a phone number was added, a name changed), takes the older one's place, because any
 *   removal that would have hit the old row hits the new one, too. Rows that merely overlap stay side by side.
 */
export type Cell = string | number | readonly string[]
/** `values` stand in the order of `schema`; an empty string is an unknown value. Shared with the request's parsed body: never changed. */
export type Row = { schema: readonly string[]; values: readonly Cell[] }

/** An account is found by one of these alone; all other keys only refine. */
const ALONE_KEYS: readonly string[] = ['EMAIL', 'PHONE', 'MADID', 'EXTERN_ID']
/** Said about a person, not naming them. */
const ATTRIBUTES = new Set(['LOOKALIKE_VALUE', 'DATA_PROCESSING_OPTIONS', 'DATA_PROCESSING_OPTIONS_COUNTRY', 'DATA_PROCESSING_OPTIONS_STATE'])

export type Members = {
  /** False: the row was there already, word for word. @param at when, on the twin's clock; a row that is said again is as good as new */
  add(row: Row, at?: number): boolean
  /** How many rows went. */
  remove(row: Row): number
  /** The rows that these removals would delete. */
  hitBy(rows: Iterable<Row>): Set<Row>
  /** Drops the rows that nobody said after `at`: `retention_days` is over (vendors/meta.md §1). @returns whether there were any */
  expire(at: number): boolean
  /** The platform forgets which EXTERN_ID a row had, 90 days after it was said (§1): by that alone it is not found any more. */
  forgetExternIds(at: number): void
  size(): number
  /** Every row as `{KEY: value}` without the unknown ones. */
  list(): Record<string, Cell>[]
}

/**
 * Identifiers that belong to one platform account, each with that account's name: a row with one of them is found by any other (SYNC C1, "even e1
 * and e2 alone may belong to one platform account"). Declared before the rows come.
 */
export type People = ReadonlyMap<string, string>

export const createMembers = (people: People): Members => {
  /** → when it was said last. */
  const rows = new Map<Row, number>()
  /** key → value → rows; rows without a key that matches alone stand under their whole content. */
  const index = new Map<string, Map<string, Row[]>>()

  const handles = (row: Row) => handlesOf(row, people)
  const says = (newer: Row, older: Row): boolean => {
    const said = handles(newer)
    return handles(older).every(([key, value]) => said.some((one) => one[0] === key && one[1] === value))
  }
  const place = (key: string): Map<string, Row[]> => {
    const found = index.get(key)
    if (found !== undefined) return found
    const made = new Map<string, Row[]>()
    index.set(key, made)
    return made
  }
  const insert = (row: Row, at: number) => {
    rows.set(row, at)
    for (const [key, value] of handles(row)) {
      const values = place(key)
      const there = values.get(value)
      if (there === undefined) values.set(value, [row])
      else there.push(row)
    }
  }
  const forget = (row: Row, key: string, value: string) => {
    const left = place(key)
      .get(value)
      ?.filter((other) => other !== row)
    if (left === undefined || left.length === 0) place(key).delete(value)
    else place(key).set(value, left)
  }
  const drop = (row: Row) => {
    rows.delete(row)
    for (const [key, value] of handles(row)) forget(row, key, value)
  }
  const olderThan = (at: number): Row[] => Array.from(rows).flatMap(([row, said]) => (said <= at ? [row] : []))
  const touching = (row: Row): Row[] => {
    const found = handles(row).map(([key, value]) => index.get(key)?.get(value) ?? [])
    return found.every(({ length }) => length === 0) ? [] : [...new Set(found.flat())]
  }

  return {
    add: (row, at = 0) => {
      const older = touching(row).filter((other) => says(row, other))
      const same = older.some((other) => sameContent(other, row))
      for (const other of older) drop(other)
      insert(row, at)
      return !same
    },
    remove: (row) => {
      const hit = touching(row)
      for (const other of hit) drop(other)
      return hit.length
    },
    hitBy: (removals) => {
      const hit = new Set<Row>()
      for (const row of removals) for (const other of touching(row)) hit.add(other)
      return hit
    },
    expire: (at) => {
      const old = olderThan(at)
      for (const row of old) drop(row)
      return old.length > 0
    },
    forgetExternIds: (at) => {
      for (const row of olderThan(at)) for (const [key, value] of handles(row)) if (key === 'EXTERN_ID') forget(row, key, value)
    },
    size: () => rows.size,
    list: () => Array.from(rows.keys(), content),
  }
}

/** What a row can be found by: each identifier that matches alone, or, without one, all of it. */
const handlesOf = (row: Row, people: People): [string, string][] => {
  const found: [string, string][] = []
  row.schema.forEach((key, position) => {
    const value = row.values[position]
    if (!ALONE_KEYS.includes(key) || typeof value !== 'string' || value === '') return
    const person = people.get(value)
    found.push(person === undefined ? [key, value] : ['person', person])
  })
  return found.length > 0
    ? found
    : [
        [
          '',
          JSON.stringify(
            Object.entries(content(row))
              .filter(([key]) => !ATTRIBUTES.has(key))
              .sort(),
          ),
        ],
      ]
}

const content = (row: Row): Record<string, Cell> => {
  const known: Record<string, Cell> = {}
  row.schema.forEach((key, position) => {
    const value = row.values[position]
    if (value !== undefined && value !== '') known[key] = value
  })
  return known
}

const sameContent = (one: Row, other: Row): boolean =>
  JSON.stringify(Object.entries(content(one)).sort()) === JSON.stringify(Object.entries(content(other)).sort())
