/** Whose last word is to be said again, and when (SYNC.md C2, C4, C16). */
import type { Tx } from '@audience-sync/db/database'
import { REFUSED_AGAIN_MS } from '../options.ts'
import type { LedgerScope } from './ledger.ts'

const DOUBTFUL_FIRST = '15 minutes' // C16: a call that outlived its worker has landed by then …
export const DOUBTFUL_THEN = '24 hours' // … and whatever the platform made of it has been applied
const DOUBTFUL_TIMES = 2
const LATEST = '7 days' // C4: nobody waits longer for earlier calls to be terminal

/**
 * Its outcome was unknown for a while, and a try of it may still land: a day from the last one, which ended with the answer, or when it was
 * given up. A try that was surely not taken does not count.
 */
const TWICE = `((attempts > 1 OR state = 'abandoned') AND greatest(sent_at, accepted_at) > now() - interval '${DOUBTFUL_THEN}')`

/** A repetition of the last day, which nobody watches. */
const UNSEEN = `(repeat AND sent_at > now() - interval '${DOUBTFUL_THEN}')`

/**
 * Before another addition takes the place of an earlier one in the ledger, which then knows the later only: where the earlier may still land,
 * that is remembered for the removal to come. The row is never due: it says "once you are removed, you are removed again". Nothing
 * has to be said of two additions alone. Where the person is to be said again anyway, both halves are (`both_halves`). A `repeat` hides no
 * repetition: it says the same, and is as little seen.
 */
export async function rememberEarlier(tx: Tx, scope: LedgerScope, ordered: boolean, repeat: boolean, customers: readonly number[]): Promise<void> {
  await tx.query(
    `INSERT INTO say_again AS s (audience_no, tenant_no, destination_no, customer_no, due_at, times, after_batch)
     SELECT $1::int, $2::int, $3::smallint, l.customer_no, 'infinity', CASE WHEN o.doubtful THEN ${DOUBTFUL_TIMES} ELSE 1 END, o.no
     FROM ledger l
     JOIN LATERAL (
       SELECT no, state = 'accepted' AND NOT $4 AS unfinished, ${TWICE} OR (${UNSEEN} AND NOT $4 AND NOT $7) AS doubtful FROM batch WHERE no = l.add_batch
     ) AS o ON o.unfinished OR o.doubtful
     WHERE l.audience_no = $1 AND l.generation = $6 AND l.customer_no = ANY($5) ORDER BY l.customer_no
     ON CONFLICT (audience_no, customer_no) DO UPDATE SET times = greatest(s.times, excluded.times), after_batch = greatest(s.after_batch, excluded.after_batch),
       both_halves = s.both_halves OR s.due_at < 'infinity'`,
    [scope.audienceNo, scope.tenantNo, scope.destinationNo, ordered, customers, scope.generation, repeat],
  )
}

/** Of those who were remembered so, the earlier additions cannot land any more. */
export const FORGET_EARLIER = (atMost: number) => `DELETE FROM say_again WHERE ctid IN (
  SELECT s.ctid FROM say_again s JOIN batch b ON b.no = s.after_batch
  WHERE s.due_at = 'infinity' AND greatest(b.sent_at, b.accepted_at) < now() - interval '${DOUBTFUL_THEN}'
    AND NOT EXISTS (SELECT FROM batch o WHERE o.audience_no = s.audience_no AND o.state = 'accepted' AND o.no <= s.after_batch) LIMIT ${atMost})`

/** Of audience `$1`, the first that fulfils this, or null. The ledger names a person's last removal only: from here on an earlier one may have named them, too. */
const FIRST_REMOVAL = (which: string) => `(SELECT min(no) FROM batch WHERE audience_no = $1 AND operation = 'remove' AND ${which})`
/** The platform has not finished with it, or another sending of it may land. */
export const FIRST_TO_COME = FIRST_REMOVAL(`(state = 'accepted' OR ${TWICE})`)

/**
 * After a word was accepted: those of its people whose other call, of the opposite kind, may still be applied after it. Where the
 * platform keeps no order (`ordered`: it does, or is done when it answers) that is any call it has not finished with, and a
 * repetition of the last day, which nobody watches. Any word besides doubts one whose outcome was unknown for a while, because that may
 * have landed twice. A row stays when a newer word is said: what may come late, may come after that, too. An addition that was applied after the
 * removal was sent may have come after it: where another audience made the call (`shared_call`), that may be long ago. An
 * addition may be met by any removal before the one that the ledger names.
 */
export async function leaveToSayAgain(tx: Tx, scope: LedgerScope, operation: string, ordered: boolean, customers: readonly number[]): Promise<void> {
  await tx.query(
    `INSERT INTO say_again AS s (audience_no, tenant_no, destination_no, customer_no, due_at, times, after_batch, both_halves)
     SELECT $1::int, $2::int, $3::smallint, l.customer_no, CASE WHEN o.doubtful THEN now() + interval '${DOUBTFUL_FIRST}' ELSE now() END,
       CASE WHEN o.doubtful THEN ${DOUBTFUL_TIMES} ELSE 1 END, o.no, $4 = 'remove'
     FROM ledger l
     LEFT JOIN say_again before ON $4 = 'remove' AND before.audience_no = l.audience_no AND before.customer_no = l.customer_no AND before.due_at = 'infinity'
     JOIN LATERAL (
       SELECT no, (state = 'accepted' OR $4 = 'remove' AND applied_at > (SELECT sent_at FROM batch WHERE no = l.remove_batch) OR $4 = 'add' AND ${FIRST_REMOVAL(`state = 'accepted'`)} < no) AND NOT $5
           OR before.customer_no IS NOT NULL AS unfinished,
         ${TWICE} OR (${UNSEEN} AND NOT $5) OR $4 = 'add' AND coalesce(${FIRST_REMOVAL(TWICE)} < no, false) OR coalesce(before.times > 1, false) AS doubtful
       FROM batch WHERE no = CASE WHEN $4 = 'remove' THEN l.add_batch ELSE l.remove_batch END
     ) AS o ON o.unfinished OR o.doubtful
     WHERE l.audience_no = $1 AND l.generation = $7 AND l.customer_no = ANY($6) ORDER BY l.customer_no
     ON CONFLICT (audience_no, customer_no) DO UPDATE SET due_at = excluded.due_at, times = greatest(s.times, excluded.times),
       after_batch = greatest(s.after_batch, excluded.after_batch), both_halves = s.both_halves OR excluded.both_halves`,
    [scope.audienceNo, scope.tenantNo, scope.destinationNo, operation, ordered, customers, scope.generation],
  )
}

/** These removals were never confirmed: whoever they name is not forgotten before they were removed once more. */
export async function leaveUnconfirmed(tx: Tx, audienceNo: number, removals: readonly number[]): Promise<void> {
  if (removals.length === 0) return
  await tx.query(
    `INSERT INTO say_again (audience_no, tenant_no, destination_no, customer_no, due_at, times)
     SELECT audience_no, tenant_no, destination_no, customer_no, now(), 1 FROM ledger WHERE audience_no = $1 AND remove_batch = ANY($2) AND remove_batch > add_batch
       AND generation = (SELECT generation FROM audience WHERE no = $1) ORDER BY customer_no
     ON CONFLICT (audience_no, customer_no) DO NOTHING`,
    [audienceNo, removals],
  )
}

/** A newer word is being said: a renewal is needless. */
export async function forgetToSayAgain(tx: Tx, audienceNo: number, customers: readonly number[]): Promise<void> {
  if (customers.length > 0)
    await tx.query('DELETE FROM say_again WHERE audience_no = $1 AND customer_no = ANY($2) AND after_batch IS NULL', [audienceNo, customers])
}

/** Left to do: said anew anyway, and first. */
const LEFT = (row: string) =>
  `EXISTS (SELECT FROM todo t WHERE t.audience_no = ${row}.audience_no AND t.customer_no = ${row}.customer_no AND t.not_before < 'infinity')`

/**
 * There is nothing to repeat after all: the person has changed, and the feed has that. A row that somebody wrote since it was read stays; so does
 * what is remembered of an earlier addition, for the run that says the change.
 */
export async function neverMind(tx: Tx, audienceNo: number, people: readonly Pick<Again, 'customerNo' | 'afterBatch'>[]): Promise<void> {
  if (people.length === 0) return
  const which = `unnest($2::bigint[], $3::bigint[]) AS p(customer_no, after_batch)
     WHERE s.audience_no = $1 AND s.customer_no = p.customer_no AND s.after_batch IS NOT DISTINCT FROM p.after_batch`
  const values = [audienceNo, people.map(({ customerNo }) => customerNo), people.map(({ afterBatch }) => afterBatch)]
  await tx.query(`UPDATE say_again s SET due_at = now() + interval '${DOUBTFUL_FIRST}' FROM ${which} AND s.both_halves`, values)
  await tx.query(`DELETE FROM say_again s USING ${which} AND NOT s.both_halves`, values)
}

/**
 * This batch is about to say them again: their rows name it, so that whatever another audience's worker leaves meanwhile (an account-wide
 * removal, which may be applied after the repetition) is not taken for said. `pieceOf`: the batch that it is a piece of.
 */
export async function sayAgainBy(tx: Tx, audienceNo: number, batchNo: number, customers: readonly number[], pieceOf: number | null = null): Promise<void> {
  await tx.query('UPDATE say_again SET after_batch = $2 WHERE audience_no = $1 AND customer_no = ANY($3) AND ($4::bigint IS NULL OR after_batch = $4)', [
    audienceNo,
    batchNo,
    customers,
    pieceOf,
  ])
}

/** It was said again by this batch: once more later, or never. Of whom only the removal was, the addition is still to come. */
export async function saidAgain(tx: Tx, audienceNo: number, batchNo: number, customers: readonly number[]): Promise<void> {
  const whole = `audience_no = $1 AND customer_no = ANY($2) AND after_batch = $3 AND NOT ${LEFT('say_again')}`
  await tx.query(`DELETE FROM say_again WHERE ${whole} AND times <= 1`, [audienceNo, customers, batchNo])
  await tx.query(`UPDATE say_again SET times = times - 1, due_at = now() + interval '${DOUBTFUL_THEN}' WHERE ${whole}`, [audienceNo, customers, batchNo])
}

/** The repetition was refused: nothing changes within minutes. */
export async function postpone(tx: Tx, audienceNo: number, customers: readonly number[]): Promise<void> {
  await tx.query(`UPDATE say_again SET due_at = now() + $3 * interval '1 millisecond' WHERE audience_no = $1 AND customer_no = ANY($2)`, [
    audienceNo,
    customers,
    REFUSED_AGAIN_MS,
  ])
}

/** The first call of the audience that the platform has not finished with: whoever it named is not known here, so it counts for all. */
const FIRST_OPEN = (audience: string) => `(SELECT coalesce(min(no), 'infinity'::float8) AS no FROM (
    SELECT min(no) AS no FROM batch WHERE audience_no = ${audience} AND state = 'accepted' AND accepted_at > now() - interval '${LATEST}'
    UNION ALL SELECT min(no) FROM batch WHERE audience_no = ${audience} AND state NOT IN ('accepted', 'applied', 'split') AND state IN ('planned', 'sending', 'unknown')) AS b)`

/** Whoever is to be said again, as the far audience of now has them. */
const NAMED = `say_again s JOIN audience g ON g.no = s.audience_no
  JOIN ledger l ON l.audience_no = s.audience_no AND l.customer_no = s.customer_no AND l.generation = g.generation`

/** Due, and every earlier call is finished. An account-wide call of another audience is looked at by itself. */
const DUE = `s.due_at <= now() AND NOT ${LEFT('s')} AND open.no > greatest(l.add_batch, l.remove_batch, s.after_batch)
  AND NOT EXISTS (SELECT FROM batch f WHERE f.no = s.after_batch AND (f.state IN ('planned', 'sending', 'unknown') OR (f.state = 'accepted' AND f.accepted_at > now() - interval '${LATEST}')))`

export interface Again {
  readonly customerNo: number
  readonly last: 'add' | 'remove'
  readonly fingerprint: number
  readonly normaliser: number
  readonly held: Buffer
  /** The removal before an addition is said again as well. */
  readonly bothHalves: boolean
  readonly afterBatch: number | null
}

/** A page of those who are due in an audience, in order. `removalsOnly`: an audience that is paused says nothing else (R7). */
export async function readAgain(tx: Tx, audienceNo: number, after: number, removalsOnly: boolean, limit: number): Promise<Again[]> {
  const { rows } = await tx.query<Again>(
    `SELECT s.customer_no AS "customerNo", CASE WHEN coalesce(l.remove_batch, 0) > l.add_batch THEN 'remove' ELSE 'add' END AS last, l.fingerprint, l.normaliser, l.held, s.both_halves AS "bothHalves", s.after_batch AS "afterBatch"
     FROM ${NAMED}, ${FIRST_OPEN('$1')} AS open
     WHERE ${DUE} AND s.audience_no = $1 AND s.customer_no > $2 AND (NOT $3 OR coalesce(l.remove_batch, 0) > l.add_batch)
     ORDER BY s.customer_no LIMIT $4`,
    [audienceNo, after, removalsOnly, limit],
  )
  return rows
}

/** Paused, missing at the platform, or held by the brake: only removals go on, in runs for privacy (R7). */
const REMOVALS_ONLY = `(au.paused_at IS NOT NULL OR (au.missing IS NOT NULL AND au.heal_requested_at IS NULL)
  OR EXISTS (SELECT FROM run WHERE audience_no = au.no AND status = 'held'))`

/** Audiences in which somebody is due and no run is open that would do it. */
export async function audiencesToSayAgain(tx: Tx, destinationNo: number): Promise<{ no: number; tenantId: string; removalsOnly: boolean }[]> {
  const { rows } = await tx.query<{ no: number; tenantId: string; removalsOnly: boolean }>(
    `SELECT au.no, au.tenant_id AS "tenantId", bound.removals AS "removalsOnly" FROM audience au
     CROSS JOIN LATERAL ${FIRST_OPEN('au.no')} AS open
     CROSS JOIN LATERAL (SELECT ${REMOVALS_ONLY} AS removals) AS bound
     WHERE au.no IN (SELECT audience_no FROM say_again WHERE destination_no = $1 AND due_at <= now())
       AND EXISTS (SELECT FROM ${NAMED} WHERE s.audience_no = au.no AND ${DUE} AND (NOT bound.removals OR coalesce(l.remove_batch, 0) > l.add_batch))
       AND au.deleted_at IS NULL AND au.delete_requested_at IS NULL
       AND NOT EXISTS (SELECT FROM run WHERE audience_no = au.no AND status IN ('queued', 'running', 'waiting') AND (NOT bound.removals OR trigger = 'privacy')) LIMIT 32`,
    [destinationNo],
  )
  return rows
}
