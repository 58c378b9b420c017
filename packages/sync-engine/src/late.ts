/**
 * What the platform says of a batch after it took it: refused as a whole, some of its rows refused by name, or some counted without
 * a name. Whoever was refused enters `rejection` and `todo` in the transaction that records it (SYNC.md C3), and the counts of their
 * run change with it, whatever state that run is in by now (C24).
 */
import type { Tx } from '@audience-sync/db/database'
import type { Settled } from '@audience-sync/destination-kit/contract'
import { REFUSED_AGAIN_MS, REJECTED_TRIES } from './options.ts'
import { type BatchPerson, decodePayload, peopleOfRows } from './pure/payload.ts'
import { requestPrivacyRun, requestRun } from './requests.ts'
import { payloadOf } from './sealer.ts'
import { leave } from './store/ledger.ts'
import { type Rejected, reject, withNewcomers } from './store/rejections.ts'
import { type AudienceRow, type BatchRow, readRun } from './store/rows.ts'
import { reasonOf } from './worker/endings.ts'
import type { Engine } from './worker/engine.ts'

/** Records the last word on one accepted batch. */
export async function settleBatch(
  tx: Tx,
  engine: Engine,
  audience: AudienceRow,
  batch: BatchRow,
  settled: Exclude<Settled, { state: 'pending' }>,
): Promise<void> {
  const people = await peopleOf(tx, engine, audience, batch)
  if (settled.state === 'rejected') {
    const { failure } = settled
    await tx.query(`UPDATE batch SET state = 'rejected', failure = $2 WHERE no = $1`, [batch.no, JSON.stringify(reasonOf(failure))])
    const everyone = people.map(({ customerNo }) => ({ customerNo, code: failure.code, platform: failure.platform }))
    await refuse(tx, audience, batch, people, everyone)
    // One bad row among them: they go again in smaller batches (`packer.ts`), and nobody has to ask for that.
    if (failure.kind === 'rows' && people.length > 1 && !audience.pausedAt && !audience.deleteRequestedAt)
      await requestRun(tx, { audience, trigger: 'retry', announce: false })
    return
  }
  const { rejections, unnamedRejections = 0 } = settled
  const byRow = peopleOfRows(people)
  const refused = new Map<number, Rejected>()
  for (const { row, code, platform } of rejections) {
    const person = byRow[row]
    if (person) refused.set(person.customerNo, { customerNo: person.customerNo, code, platform })
  }
  await tx.query(`UPDATE batch SET state = 'applied', applied_at = now(), unnamed_rejections = unnamed_rejections + $2 WHERE no = $1`, [
    batch.no,
    unnamedRejections,
  ])
  await refuse(tx, audience, batch, people, [...refused.values()])
  // A removal that was refused to somebody, who knows whom: all are removed again, a few times.
  if (batch.operation === 'remove' && unnamedRejections > 0) await leavePeople(tx, audience, batch, await removedBy(tx, audience, batch))
}

/** In the order of the rows where they were kept (`refusesLate`); else whoever's last word this batch is. */
async function peopleOf(tx: Tx, engine: Engine, audience: AudienceRow, batch: BatchRow): Promise<BatchPerson[]> {
  const { rows } = await tx.query<{ payload: Buffer }>('SELECT payload FROM batch_payload WHERE batch_no = $1', [batch.no])
  if (rows[0]) {
    const bytes = await engine.sealer.opening(tx, audience.tenantId)(rows[0].payload, payloadOf(audience.no, batch.no))
    return decodePayload(engine.destination.manifest.keys, bytes)
  }
  const column = batch.operation === 'add' ? 'add_batch' : 'remove_batch'
  const { rows: named } = await tx.query<{ no: number }>(`SELECT customer_no AS no FROM ledger WHERE audience_no = $1 AND ${column} = $2`, [
    audience.no,
    batch.no,
  ])
  return named.map(({ no }) => ({ customerNo: no, kind: 'none', sets: [] }))
}

const removedBy = async (tx: Tx, audience: AudienceRow, batch: BatchRow): Promise<number[]> => {
  const { rows } = await tx.query<{ no: number }>('SELECT customer_no AS no FROM ledger WHERE audience_no = $1 AND remove_batch = $2', [audience.no, batch.no])
  return rows.map(({ no }) => no)
}

async function refuse(tx: Tx, audience: AudienceRow, batch: BatchRow, people: readonly BatchPerson[], refused: readonly Rejected[]): Promise<void> {
  if (refused.length === 0) return
  const customers = refused.map(({ customerNo }) => customerNo)
  const { rows: before } = await tx.query<{ no: number }>('SELECT DISTINCT customer_no AS no FROM rejection WHERE run_no = $1 AND customer_no = ANY($2)', [
    batch.runNo,
    customers,
  ])
  const counted = new Set(before.map(({ no }) => no))
  await reject(tx, scopeOf(audience), batch.runNo, batch.no, batch.operation, withNewcomers(people, refused))
  await leavePeople(tx, audience, batch, customers)
  const wanted = new Set(customers)
  const fresh = people.filter(({ customerNo }) => wanted.has(customerNo) && !counted.has(customerNo))
  const of = (...kinds: BatchPerson['kind'][]) => fresh.filter(({ kind }) => kinds.includes(kind)).length
  await tx.query(
    'UPDATE batch SET rejected_added = rejected_added + $2, rejected_removed = rejected_removed + $3, rejected_replaced = rejected_replaced + $4 WHERE no = $1',
    [batch.no, of('added'), batch.operation === 'remove' ? fresh.length - of('none') : 0, of('replaced')],
  )
  if (batch.operation === 'remove') await refuseHalves(tx, audience, batch, fresh)
}

/** A replacement whose removal was refused is refused, and is counted where its addition was (C1); an addition that does not count is passed over. */
async function refuseHalves(tx: Tx, audience: AudienceRow, batch: BatchRow, fresh: readonly BatchPerson[]): Promise<void> {
  const halves = fresh.filter(({ kind }) => kind === 'none').map(({ customerNo }) => customerNo)
  if (halves.length === 0) return
  await tx.query(
    `UPDATE batch b SET rejected_replaced = least(rejected_replaced + h.people, replaced)
     FROM (SELECT add_batch, count(*)::int AS people FROM ledger WHERE audience_no = $1 AND customer_no = ANY($2) GROUP BY 1) AS h
     WHERE b.no = h.add_batch AND b.run_no = $3 AND b.state IN ('accepted', 'applied')`,
    [audience.no, halves, batch.runNo],
  )
}

/** For a later run; whoever may not be there stays first until they are gone (R7). */
async function leavePeople(tx: Tx, audience: AudienceRow, batch: BatchRow, customers: readonly number[]): Promise<void> {
  const { trigger } = await readRun(tx, batch.runNo)
  await leave(tx, scopeOf(audience), batch.runNo, trigger === 'privacy' ? 'privacy' : 'rejected', customers, REJECTED_TRIES)
  if (trigger === 'privacy') await requestPrivacyRun(tx, audience, REFUSED_AGAIN_MS)
}

const scopeOf = ({ no, tenantNo, destinationNo, generation }: AudienceRow) => ({ audienceNo: no, tenantNo, destinationNo, generation })
