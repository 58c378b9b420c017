/** How a customer becomes a row of the feed (`FeedRow` of contracts/internal/feed.ts), in SQL: pages go out as the database made them. */
import { groupBit, purposeBit, purposes } from '@audience-sync/contracts/people'
import { KIND_BITS, kinds, TAG_BYTES } from '../people/tags.ts'

const BITS = `ARRAY[${kinds.map(groupBit).join(',')}]`

/**
 * Groups of `row` (which has `tags` and `withheld`) of which nothing is left for a purpose (its bit, as SQL): each of their tags is
 * withheld (SYNC.md C2). Almost nobody has such a tag: ask for `withheld = ''` first.
 */
export const WITHHELD_GROUPS = (row: string, purpose: string) => `(
  SELECT coalesce(bit_or(bit), 0) FROM (
    SELECT (${BITS})[1 + (get_byte(${row}.tags, ${TAG_BYTES} * i + ${TAG_BYTES - 1}) & ${KIND_BITS})] AS bit
    FROM generate_series(0, length(${row}.withheld) - 1) AS i GROUP BY 1 HAVING bool_and(get_byte(${row}.withheld, i) & ${purpose} <> 0)) AS kind)`

const WITHHELD = (row: string) =>
  `CASE WHEN ${row}.withheld = '' THEN '' ELSE ${purposes.map((purpose) => `',' || ${WITHHELD_GROUPS(row, String(purposeBit(purpose)))}`).join(' || ')} END`

/** As JSON text. */
export const FEED_ROW = (row: string) =>
  `'[' || ${row}.customer_no || ',' || ${row}.member::int || ',' || ${row}.purposes || ',' || ${row}.groups || ',"' || translate(encode(${row}.fingerprints, 'base64'), E'\\n', '') || '"' || ${WITHHELD(row)} || ']'`

/** The columns of a customer that a row is made of; of somebody who is not there, too. */
export const ROW_COLUMNS = (customer: string) =>
  `coalesce(${customer}.purposes, 0) AS purposes, coalesce(${customer}.groups, 0) AS groups, coalesce(${customer}.fingerprints, '') AS fingerprints, coalesce(${customer}.tags, '') AS tags, coalesce(${customer}.withheld, '') AS withheld`
