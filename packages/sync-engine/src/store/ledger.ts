/** Reading and writing the ledger and what is left to do, set by set. */
import type { Tx } from '@audience-sync/db/database'
import type { Known } from '../pure/diff.ts'
import { SUPERSEDED_WAITS } from './follow-up.ts'
import { packColumn, sliceOf } from './packed.ts'

/** Batches that did not end as accepted, by number; every other batch was accepted. */
export type Exceptions = Map<number, 'open' | 'failed'>

const OPEN = new Set(['planned', 'sending', 'unknown'])

export async function readExceptions(tx: Tx, audienceNo: number): Promise<Exceptions> {
  const { rows } = await tx.query<{ no: number; state: string }>(
    `SELECT no, state FROM batch WHERE audience_no = $1 AND state NOT IN ('accepted', 'applied', 'split')`,
    [audienceNo],
  )
  return new Map(rows.map(({ no, state }) => [no, OPEN.has(state) ? 'open' : 'failed']))
}

export interface LedgerEntry extends Known {
  readonly customerNo: number
  readonly addBatch: number
  readonly removeBatch: number | null
}

export interface Lookup {
  readonly known: ReadonlyMap<number, LedgerEntry>
  /** People that an earlier run left to do. */
  readonly forced: ReadonlySet<number>
  /** How often the platform has refused them, of those whom it has. */
  readonly refused: ReadonlyMap<number, number>
}

interface Row {
  readonly no: number
  readonly fingerprint: number | null
  readonly config_version: number
  readonly normaliser: number
  readonly add_batch: number
  readonly remove_batch: number | null
  readonly todo: boolean
  readonly refused: number | null
}

const COLUMNS = 'l.fingerprint, l.config_version, l.normaliser, l.add_batch, l.remove_batch'

/**
 * These people, as this generation of the far audience knows them (C19: older generations are absent). `OFFSET 0` keeps the
 * planner to one look-up for each: its joins read the whole ledger for a page, and a run would cost as much as the audience is large.
 */
export async function lookUp(tx: Tx, audienceNo: number, generation: number, customers: readonly number[], exceptions: Exceptions): Promise<Lookup> {
  const { rows } = await tx.query<Row>(
    `SELECT c.no, ${COLUMNS}, t.customer_no IS NOT NULL AS todo, t.attempts AS refused
     FROM unnest($3::bigint[]) AS c(no)
     LEFT JOIN LATERAL (SELECT * FROM ledger WHERE audience_no = $1 AND customer_no = c.no AND generation = $2 OFFSET 0) l ON true
     LEFT JOIN LATERAL (SELECT customer_no, attempts FROM todo t WHERE audience_no = $1 AND customer_no = c.no AND NOT ${SUPERSEDED_WAITS} OFFSET 0) t ON true
     WHERE l.customer_no IS NOT NULL OR t.customer_no IS NOT NULL`,
    [audienceNo, generation, customers],
  )
  return toLookup(rows, exceptions)
}

/** Everyone in the ledger from `from` to `to` (null: to the end), both included: the other stream of a full reconcile. */
export async function lookUpRange(tx: Tx, audienceNo: number, generation: number, from: number, to: number | null, exceptions: Exceptions): Promise<Lookup> {
  const { rows } = await tx.query<Row>(
    `SELECT l.customer_no AS no, ${COLUMNS}, t.customer_no IS NOT NULL AS todo, t.attempts AS refused
     FROM ledger l LEFT JOIN todo t ON t.audience_no = l.audience_no AND t.customer_no = l.customer_no AND NOT ${SUPERSEDED_WAITS}
     WHERE l.audience_no = $1 AND l.generation = $2 AND l.customer_no >= $3 AND ($4::bigint IS NULL OR l.customer_no <= $4)
     ORDER BY l.customer_no`,
    [audienceNo, generation, from, to],
  )
  return toLookup(rows, exceptions)
}

function toLookup(rows: readonly Row[], exceptions: Exceptions): Lookup {
  const known = new Map<number, LedgerEntry>()
  const forced = new Set<number>()
  const refused = new Map<number, number>()
  for (const row of rows) {
    if (row.todo) forced.add(row.no)
    if (row.refused) refused.set(row.no, row.refused)
    if (row.fingerprint !== null) known.set(row.no, toEntry(row, row.fingerprint, exceptions))
  }
  return { known, forced, refused }
}

function toEntry(row: Row, fingerprint: number, exceptions: Exceptions): LedgerEntry {
  const removed = row.remove_batch ?? 0
  // An addition that is still open keeps its person waiting even when a removal for privacy came after it.
  const open = exceptions.get(row.add_batch) === 'open' || exceptions.get(removed) === 'open'
  return {
    customerNo: row.no,
    fingerprint,
    configVersion: row.config_version,
    normaliser: row.normaliser,
    addBatch: row.add_batch,
    removeBatch: row.remove_batch,
    last: removed > row.add_batch ? 'remove' : 'add',
    state: open ? 'open' : (exceptions.get(Math.max(removed, row.add_batch)) ?? 'done'),
  }
}

/** Sealed `held` of these people in one generation. */
export async function readHeld(
  tx: Tx,
  audienceNo: number,
  generation: number,
  customers: readonly number[],
): Promise<Map<number, { held: Buffer; removeBatch: number | null; left: boolean; again: boolean }>> {
  const { rows } = await tx.query<{ customer_no: number; held: Buffer; remove_batch: number | null; left: boolean; again: boolean }>(
    `SELECT l.customer_no, l.held, l.remove_batch, t.customer_no IS NOT NULL AS left,
       EXISTS (SELECT FROM say_again s WHERE s.audience_no = l.audience_no AND s.customer_no = l.customer_no) AS again
     FROM ledger l LEFT JOIN todo t ON t.audience_no = l.audience_no AND t.customer_no = l.customer_no
     WHERE l.audience_no = $1 AND l.generation = $2 AND l.customer_no = ANY($3)`,
    [audienceNo, generation, customers],
  )
  return new Map(rows.map(({ customer_no, held, remove_batch, left, again }) => [customer_no, { held, removeBatch: remove_batch, left, again }]))
}

/** The batch was never taken: whoever it named first is as unknown as before, and will be an addition again. */
export async function neverAdded(tx: Tx, audienceNo: number, batchNo: number, customers: readonly number[]): Promise<void> {
  await tx.query('DELETE FROM ledger WHERE audience_no = $1 AND add_batch = $2 AND remove_batch IS NULL AND customer_no = ANY($3)', [
    audienceNo,
    batchNo,
    customers,
  ])
}

export interface LedgerScope {
  readonly audienceNo: number
  readonly tenantNo: number
  readonly destinationNo: number
  readonly generation: number
}

export interface AddedPerson {
  readonly customerNo: number
  readonly fingerprint: number
  readonly held: Buffer
}

/** Names the batch in the rows of those it adds. */
export async function recordAdditions(
  tx: Tx,
  scope: LedgerScope,
  batchNo: number,
  versions: { configVersion: number; normaliser: number },
  people: readonly AddedPerson[],
): Promise<void> {
  const held = packColumn(people.map((person) => person.held))
  await tx.query(
    `INSERT INTO ledger (audience_no, tenant_no, destination_no, generation, config_version, normaliser, add_batch, customer_no, fingerprint, held)
     SELECT $1::int, $2::int, $3::smallint, $4::smallint, $5::int, $6::smallint, $7::bigint, u.customer_no, u.fingerprint, ${sliceOf('$12')}
     FROM unnest($8::bigint[], $9::bigint[], $10::int[], $11::int[]) AS u(customer_no, fingerprint, at, bytes) ORDER BY 8
     ON CONFLICT (audience_no, customer_no, generation) DO UPDATE SET config_version = $5, normaliser = $6, add_batch = $7,
       fingerprint = excluded.fingerprint, held = excluded.held`,
    [
      scope.audienceNo,
      scope.tenantNo,
      scope.destinationNo,
      scope.generation,
      versions.configVersion,
      versions.normaliser,
      batchNo,
      people.map(({ customerNo }) => customerNo),
      people.map(({ fingerprint }) => fingerprint),
      held.starts,
      held.lengths,
      held.bytes,
    ],
  )
}

/** Names the batch in the rows of those it removes. */
export async function recordRemovals(
  tx: Tx,
  { audienceNo, generation }: Pick<LedgerScope, 'audienceNo' | 'generation'>,
  batchNo: number,
  people: readonly { readonly customerNo: number; readonly held: Buffer }[],
): Promise<void> {
  const held = packColumn(people.map((person) => person.held))
  await tx.query(
    `UPDATE ledger l SET remove_batch = $2, held = ${sliceOf('$7')} FROM unnest($3::bigint[], $4::int[], $5::int[]) AS u(customer_no, at, bytes)
     WHERE l.audience_no = $1 AND l.customer_no = u.customer_no AND l.generation = $6`,
    [audienceNo, batchNo, people.map(({ customerNo }) => customerNo), held.starts, held.lengths, generation, held.bytes],
  )
}

export type TodoReason = 'privacy' | 'rejected' | 'failed' | 'dissolved' | 'in_flight' | 'unknown' | 'too_small' | 'normaliser'

/** Both halves of a replacement may be refused: that counts once. */
const ONCE_MORE = `CASE WHEN $5 = 'rejected' AND todo.run_no IS DISTINCT FROM $4 THEN 1 ELSE 0 END`

/**
 * Leaves people for a later run. A removal for privacy is never overwritten by a lesser reason, nor what is to be cleaned up by a wait. The
 * refusals of this and of earlier runs count; after `triesAtMost` they rest.
 */
export async function leave(
  tx: Tx,
  scope: LedgerScope,
  runNo: number | null,
  reason: TodoReason,
  customers: readonly number[],
  triesAtMost = Number.POSITIVE_INFINITY,
): Promise<void> {
  if (customers.length === 0) return
  await tx.query(
    `INSERT INTO todo (audience_no, tenant_no, destination_no, run_no, reason, attempts, not_before, customer_no)
     SELECT $1::int, $2::int, $3::smallint, $4::bigint, $5::text, r.tries, CASE WHEN r.tries >= $7 THEN 'infinity' ELSE now() END, c.no
     FROM unnest($6::bigint[]) AS c(no), LATERAL (
       SELECT CASE WHEN $5 = 'rejected' THEN coalesce(max(attempts), 1) ELSE 0 END AS tries FROM rejection WHERE $5 = 'rejected' AND audience_no = $1 AND customer_no = c.no AND run_no = $4
     ) AS r ORDER BY c.no
     ON CONFLICT (audience_no, customer_no) DO UPDATE SET run_no = excluded.run_no,
       reason = CASE WHEN todo.reason = 'privacy' OR (todo.reason = 'normaliser' AND $5 = 'in_flight') THEN todo.reason ELSE excluded.reason END,
       attempts = greatest(todo.attempts + ${ONCE_MORE}, excluded.attempts),
       not_before = CASE WHEN $5 = 'rejected' AND greatest(todo.attempts + ${ONCE_MORE}, excluded.attempts) >= $7 THEN 'infinity' ELSE now() END`,
    [scope.audienceNo, scope.tenantNo, scope.destinationNo, runNo, reason, customers, Math.min(triesAtMost, 32_000)],
  )
}

/** Of these people those whom this very run has left. */
export async function leftBy(tx: Tx, audienceNo: number, runNo: number, customers: readonly number[]): Promise<ReadonlySet<number>> {
  if (customers.length === 0) return new Set()
  const { rows } = await tx.query<{ no: number }>('SELECT customer_no AS no FROM todo WHERE audience_no = $1 AND customer_no = ANY($2) AND run_no = $3', [
    audienceNo,
    customers,
    runNo,
  ])
  return new Set(rows.map(({ no }) => no))
}

/** Who is left to do and due, in order; privacy has runs of its own. */
export async function readTodo(tx: Tx, audienceNo: number, after: number, privacy: boolean, beforeRunNo: number, limit: number): Promise<number[]> {
  const { rows } = await tx.query<{ customer_no: number }>(
    `SELECT t.customer_no FROM todo t LEFT JOIN ledger l ON l.audience_no = t.audience_no AND l.customer_no = t.customer_no AND t.reason = 'normaliser'
       AND l.generation = (SELECT generation FROM audience WHERE no = $1)
     WHERE t.audience_no = $1 AND t.customer_no > $2 AND (t.reason = 'privacy') = $3 AND t.not_before <= now() AND (t.run_no IS NULL OR t.run_no < $4 OR $3)
       AND NOT ${SUPERSEDED_WAITS}
     ORDER BY t.customer_no LIMIT $5`,
    [audienceNo, after, privacy, beforeRunNo, limit],
  )
  return rows.map(({ customer_no }) => customer_no)
}

/** Nothing of them is a matter of privacy any more: an ordinary run looks at them anew. Whoever a run has left, as by a refusal, is left to the next. */
export async function leaveToOthers(tx: Tx, audienceNo: number, customers: readonly number[]): Promise<void> {
  await tx.query(`UPDATE todo SET reason = 'in_flight', not_before = now() WHERE audience_no = $1 AND customer_no = ANY($2) AND reason = 'privacy'`, [
    audienceNo,
    customers,
  ])
}

/** Done, or being done: what this run itself left stays. */
export async function clearTodo(tx: Tx, audienceNo: number, customers: readonly number[], exceptOfRun: number, withPrivacy = false): Promise<void> {
  if (customers.length === 0) return
  await tx.query(`DELETE FROM todo WHERE audience_no = $1 AND customer_no = ANY($2) AND run_no IS DISTINCT FROM $3 AND (reason <> 'privacy' OR $4)`, [
    audienceNo,
    customers,
    exceptOfRun,
    withPrivacy,
  ])
}
