/**
 * Which behaviors have members in common: one pass over the memberships of all that are asked for, so the cost is that of their
 * members together. Above `MOST` of them a part is counted: blocks of customer numbers spread evenly over all, each wholly, so that
 * whoever is in several behaviors is seen in all of them; the figures are then scaled up and say so.
 */
import { publicId } from '@audience-sync/contracts/ids'
import type { BehaviorOverlap } from '@audience-sync/contracts/rest/behaviors'
import type { Tx } from '@audience-sync/db/database'
import type { BehaviorRow } from './behaviors.ts'

/** Memberships that are read for an answer, those that ended among them: a second of one core's work, and a route has ten. */
export const MOST = 1_000_000
const BLOCKS = 200 // enough that no single import, whose customers have numbers beside each other, weighs much

/** Of the first and the last customer: numbers grow with the time at which somebody was first named. */
interface Span {
  readonly first: number
  readonly last: number
}

const ALL = 'membership m WHERE m.behavior_no = ANY($1) AND m.member'
/** The limit changes nothing, and keeps each block one walk along the primary key. */
const SAMPLED = `unnest($1::int[]) AS of (no) CROSS JOIN unnest($2::bigint[]) AS b (start) CROSS JOIN LATERAL (
  SELECT customer_no, behavior_no, member FROM membership WHERE behavior_no = of.no AND customer_no >= b.start AND customer_no < b.start + $3::int LIMIT $3::int) AS m WHERE m.member`

/** `most`: memberships to read at most. */
export async function readOverlap(tx: Tx, behaviors: readonly BehaviorRow[], most = MOST): Promise<BehaviorOverlap> {
  const numbers = behaviors.map(({ no }) => no)
  const sampled = await sampleOf(tx, numbers, most)
  // A bit per behavior, so that each customer is read once and the database answers with some hundred sums.
  const { rows } = await tx.query<{ bits: number; count: number }>(
    `SELECT bits, count(*) AS count FROM (
       SELECT m.customer_no, bit_or(1 << (array_position($1::int[], m.behavior_no) - 1)) AS bits FROM ${sampled ? SAMPLED : ALL} GROUP BY m.customer_no) AS of_customer
     GROUP BY bits`,
    sampled ? [numbers, sampled.starts, sampled.width] : [numbers],
  )
  const scale = sampled ? 1 / sampled.share : 1
  const having = (bits: number) => Math.round(scale * rows.reduce((sum, row) => ((row.bits & bits) === bits ? sum + row.count : sum), 0))
  const members = behaviors.map((_, at) => having(1 << at))
  const share = (common: number, of: number) => (of === 0 ? 0 : Math.round((common / of) * 10_000) / 10_000)
  return {
    behaviors: behaviors.map(({ id, key, name }, at) => ({ behaviorId: publicId('behavior', id), key, name, members: members[at] ?? 0 })),
    pairs: behaviors.flatMap((first, a) =>
      behaviors.slice(a + 1).map((second, n) => {
        const b = a + 1 + n
        const common = having((1 << a) | (1 << b))
        return {
          behaviorIds: [publicId('behavior', first.id), publicId('behavior', second.id)],
          common,
          shareOfFirst: share(common, members[a] ?? 0),
          shareOfSecond: share(common, members[b] ?? 0),
        }
      }),
    ),
    sampledShare: sampled ? sampled.share : null,
  }
}

/** null: all of them are few enough. */
async function sampleOf(tx: Tx, numbers: readonly number[], most: number): Promise<{ starts: number[]; width: number; share: number } | null> {
  const { rows: counted } = await tx.query<{ count: number }>(
    'SELECT count(*) AS count FROM (SELECT FROM membership WHERE behavior_no = ANY($1) LIMIT $2) AS few',
    [numbers, most + 1],
  )
  if ((counted[0]?.count ?? 0) <= most) return null
  const { rows } = await tx.query<Span>(
    `SELECT min(s.first) AS first, max(s.last) AS last FROM unnest($1::int[]) AS n, LATERAL (SELECT
       (SELECT customer_no FROM membership WHERE behavior_no = n ORDER BY customer_no LIMIT 1) AS first,
       (SELECT customer_no FROM membership WHERE behavior_no = n ORDER BY customer_no DESC LIMIT 1) AS last) AS s`,
    [numbers],
  )
  const { first, last } = rows[0] as Span
  const all = last - first + 1
  const width = Math.max(1, Math.floor(most / numbers.length / BLOCKS)) // every number may be a member of every behavior
  if (width * BLOCKS >= all) return null
  const starts = Array.from({ length: BLOCKS }, (_, at) => first + Math.floor((at * all) / BLOCKS))
  return { starts, width, share: (width * BLOCKS) / all }
}
