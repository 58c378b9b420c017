/** Who holds which identifier, as tags (SYNC.md C2). */
import type { Tx } from '@audience-sync/db/database'
import type { Tagged } from '../pure/tags.ts'
import type { LedgerScope } from './ledger.ts'
import { DOUBTFUL_THEN } from './say-again.ts'

/** Of a row that was never due: what was remembered of an earlier addition (`rememberEarlier`) goes along. */
const DUE_NOW = `due_at = CASE WHEN s.due_at = 'infinity' THEN excluded.due_at ELSE s.due_at END, both_halves = s.both_halves OR s.due_at = 'infinity'`

/** Tags are only added here: a stale one, of an identifier that a person no longer has, is passed over by whoever reads. */
export async function recordTags(tx: Tx, scope: LedgerScope, people: readonly Tagged[]): Promise<void> {
  const pairs = people.flatMap(({ customerNo, tags }) => tags.map((tag) => [tag, customerNo] as const))
  await tx.query(
    `INSERT INTO ledger_tag (audience_no, tenant_no, destination_no, tag, customer_no)
     SELECT $1::int, $2::int, $3::smallint, u.* FROM unnest($4::bigint[], $5::bigint[]) AS u(tag, customer_no) ORDER BY 4, 5 ON CONFLICT DO NOTHING`,
    [scope.audienceNo, scope.tenantNo, scope.destinationNo, pairs.map(([tag]) => tag), pairs.map(([, customerNo]) => customerNo)],
  )
}

interface Removed {
  readonly goneEverywhere?: readonly number[] | null
  /** It was given up, and a try of it may have been taken: they are said again at once, and when it has landed by all means. */
  readonly doubtful?: boolean
}

/**
 * A removal took these identifiers away: whoever else holds one of them, and is to stay, is said again when it is finished. `OFFSET 0`
 * keeps the planner to one look-up for each: with tables that grew a moment ago it read all of them for every tag.
 *
 * A row has room for one batch to wait for. `goneEverywhere`: the removal was made by another audience for the whole account, of these people, and
 * its number says nothing of the order here; the others are said again after it, and, whatever the row comes to wait for meanwhile, once more a day
 * later. Of those people whoever is to be removed here, too, is left alone: this audience says so itself, and what it remembers of them is for that.
 */
export async function leaveSharersToSayAgain(
  tx: Tx,
  scope: LedgerScope,
  batchNo: number,
  tags: readonly number[],
  { goneEverywhere = null, doubtful = false }: Removed = {},
): Promise<void> {
  if (tags.length === 0) return
  await tx.query(
    `INSERT INTO say_again AS s (audience_no, tenant_no, destination_no, customer_no, due_at, times, after_batch)
     SELECT DISTINCT $1::int, $2::int, $3::smallint, l.customer_no, now(), CASE WHEN $7 OR $9 THEN 2 ELSE 1 END, $4::bigint
     FROM unnest($5::bigint[]) AS u(tag)
     CROSS JOIN LATERAL (SELECT customer_no FROM ledger_tag WHERE audience_no = $1 AND tag = u.tag OFFSET 0) t
     CROSS JOIN LATERAL (SELECT customer_no, add_batch, remove_batch FROM ledger WHERE audience_no = $1 AND customer_no = t.customer_no AND generation = $6 OFFSET 0) l
     WHERE (l.remove_batch IS NULL OR l.remove_batch < l.add_batch) AND NOT (l.customer_no = ANY($8)
       AND EXISTS (SELECT FROM todo t WHERE t.audience_no = $1 AND t.customer_no = l.customer_no AND t.reason = 'privacy'))
     ON CONFLICT (audience_no, customer_no) DO UPDATE SET ${DUE_NOW},
       after_batch = CASE WHEN $7 THEN excluded.after_batch ELSE greatest(s.after_batch, excluded.after_batch) END, times = greatest(s.times, excluded.times)`,
    [scope.audienceNo, scope.tenantNo, scope.destinationNo, batchNo, tags, scope.generation, goneEverywhere !== null, goneEverywhere ?? [], doubtful],
  )
}

/** Of a removal: the platform may apply it later than what is said now. `b` is its batch. */
const MAY_COME = `(b.state = 'accepted' OR (b.state = 'applied' AND (b.repeat OR b.attempts > 1) AND b.accepted_at > now() - interval '${DOUBTFUL_THEN}'))`

/** Audience and everybody who was added to it by a batch, with their tags: asked for only where somebody has to be found by them. */
type Added = () => readonly Tagged[]
const pairsOf = (added: Added) => added().flatMap(({ customerNo, tags }) => tags.map((tag) => [tag, customerNo] as const))

/**
 * The reverse: who is added by an identifier that somebody else is losing by a removal that the platform has not finished with, or whose
 * repetition nobody watches. It may be applied after the addition, and take them along. As when a phone goes from one customer to another.
 * Whoever is said again in a day anyway is said after it: were that one time more each time, two who share a phone would be said again for ever.
 */
export async function leaveAddedToSayAgain(tx: Tx, scope: LedgerScope, added: Added): Promise<void> {
  await leaveAddedBesideAccount(tx, scope, added)
  const { rows } = await tx.query(`SELECT FROM batch b WHERE audience_no = $1 AND operation = 'remove' AND ${MAY_COME} LIMIT 1`, [scope.audienceNo])
  if (rows.length === 0) return
  const pairs = pairsOf(added)
  await tx.query(
    `INSERT INTO say_again AS s (audience_no, tenant_no, destination_no, customer_no, due_at, times, after_batch)
     SELECT $1::int, $2::int, $3::smallint, u.customer_no, now(), CASE WHEN bool_or(b.unseen) THEN 2 ELSE 1 END, max(b.no)
     FROM unnest($4::bigint[], $5::bigint[]) AS u(tag, customer_no)
     CROSS JOIN LATERAL (SELECT customer_no FROM ledger_tag WHERE audience_no = $1 AND tag = u.tag AND customer_no <> u.customer_no OFFSET 0) t
     CROSS JOIN LATERAL (SELECT remove_batch FROM ledger WHERE audience_no = $1 AND customer_no = t.customer_no AND generation = $6 AND remove_batch IS NOT NULL OFFSET 0) l
     CROSS JOIN LATERAL (SELECT no, state <> 'accepted' AS unseen FROM batch b WHERE audience_no = $1 AND operation = 'remove' AND no <= l.remove_batch AND ${MAY_COME} ORDER BY no DESC LIMIT 1) b
     GROUP BY u.customer_no ORDER BY u.customer_no
     ON CONFLICT (audience_no, customer_no) DO UPDATE SET ${DUE_NOW},
       after_batch = greatest(s.after_batch, excluded.after_batch),
       times = CASE WHEN s.due_at < 'infinity' AND s.due_at >= now() + interval '${DOUBTFUL_THEN}' THEN s.times ELSE greatest(s.times, excluded.times) END`,
    [scope.audienceNo, scope.tenantNo, scope.destinationNo, pairs.map(([tag]) => tag), pairs.map(([, customerNo]) => customerNo), scope.generation],
  )
}

/**
 * The same of an opt-out that another audience told the whole account: whoever it removed may have come to this one meanwhile, having consented
 * again, or somebody who carries one of their identifiers (whose tags the call left here). Said again as the sharers of such a call are. That it is
 * applied was seen in the caller's audience; here it may take longer, a day at most.
 */
async function leaveAddedBesideAccount(tx: Tx, scope: LedgerScope, added: Added): Promise<void> {
  const { rows: calls } = await tx.query<{ no: number }>(
    `SELECT b.no FROM audience me JOIN audience au ON au.destination_no = me.destination_no AND au.account_external_id = me.account_external_id AND au.no <> me.no
     JOIN batch b ON b.audience_no = au.no AND b.manner = 'account' AND b.shared_call IS NULL
       AND (b.state = 'accepted' OR (b.state = 'applied' AND b.accepted_at > now() - interval '${DOUBTFUL_THEN}')) WHERE me.no = $1`,
    [scope.audienceNo],
  )
  if (calls.length === 0) return
  const pairs = pairsOf(added)
  await tx.query(
    `INSERT INTO say_again AS s (audience_no, tenant_no, destination_no, customer_no, due_at, times, after_batch)
     SELECT $1::int, $2::int, $3::smallint, u.customer_no, now(), 2, max(p.batch_no)
     FROM unnest($4::bigint[], $5::bigint[]) AS u(tag, customer_no)
     CROSS JOIN LATERAL (SELECT customer_no FROM ledger_tag WHERE audience_no = $1 AND tag = u.tag OFFSET 0) t
     JOIN privacy_removal p ON p.customer_no = t.customer_no AND p.batch_no = ANY($6)
     GROUP BY u.customer_no ORDER BY u.customer_no
     ON CONFLICT (audience_no, customer_no) DO UPDATE SET ${DUE_NOW},
       after_batch = excluded.after_batch, times = greatest(s.times, excluded.times)`,
    [scope.audienceNo, scope.tenantNo, scope.destinationNo, pairs.map(([tag]) => tag), pairs.map(([, customerNo]) => customerNo), calls.map(({ no }) => no)],
  )
}
