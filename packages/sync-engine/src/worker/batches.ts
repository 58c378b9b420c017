/**
 * The life of one batch: stored with the ledger rows that name it (commit) → tombstones read (C10) → sent → its outcome stored.
 * Between the first commit and the last it is `sending`: whoever finds it so without a lease knows that its outcome is unknown,
 * and sends the same bytes again (S-4, S-5).
 */

import { createHash, randomInt } from 'node:crypto'
import { newUuid } from '@audience-sync/contracts/ids'
import { comparePositions, readPosition } from '@audience-sync/contracts/internal/position'
import { purposeBit } from '@audience-sync/contracts/people'
import type { Tx } from '@audience-sync/db/database'
import type { Batch, EncodedRequest, Operation, SendConfig, Session } from '@audience-sync/destination-kit/contract'
import { encodeHeld } from '../pure/held.ts'
import type { Packed, Part } from '../pure/packer.ts'
import { type BatchPerson, decodePayload, encodePayload } from '../pure/payload.ts'
import { taggedBy } from '../pure/tags.ts'
import { heldOf, payloadOf } from '../sealer.ts'
import { clearTodo, leave, leftBy, neverAdded, recordAdditions, recordRemovals } from '../store/ledger.ts'
import { recordPrivacyRemovals, recordRepeatedRemovals } from '../store/privacy-removals.ts'
import type { AudienceRow, BatchRow, RunRow } from '../store/rows.ts'
import { readBatch } from '../store/rows.ts'
import { forgetToSayAgain, rememberEarlier, sayAgainBy } from '../store/say-again.ts'
import { recordTags } from '../store/tags.ts'
import { type Job, taggingOf } from './job.ts'

/** A batch as it is worked on: its row, and the people in it. */
export interface OpenBatch {
  row: BatchRow
  people: readonly BatchPerson[]
}

/** Positive, below 2^48, so that it never repeats in an account (vendors/meta.md §4.3). */
export const newSessionId = (): number => randomInt(1, 2 ** 48 - 1)

const countOf = (people: readonly BatchPerson[], ...kinds: BatchPerson['kind'][]) => people.filter(({ kind }) => kinds.includes(kind)).length
const numbersOf = (people: readonly BatchPerson[], which: (person: BatchPerson) => boolean) => people.filter(which).map(({ customerNo }) => customerNo)
const oldest = (positions: readonly string[]): string => positions.toSorted(comparePositions)[0] ?? '0:0'

/** How it is said: to the audience, to all audiences of the account, or as a part of a new list. */
export type Manner = 'list' | 'account' | 'replace'

export interface Storing {
  readonly session: Session | null
  readonly alongside: (tx: Tx, batchNo: number) => Promise<void>
  readonly manner?: Manner
  /** Another audience's call that did this, too. */
  readonly sharedCall?: number
  readonly privacy?: boolean
  /** Said before: not counted, and no newer word (C4). */
  readonly repeat?: boolean
}

/** One transaction: the batch, its rows sealed, the ledger rows that name it, and whatever goes with it (the cursor). */
export async function storeBatch(
  job: Job,
  run: RunRow,
  packed: Packed,
  { session, alongside, privacy = false, repeat = false, manner = 'list', sharedCall }: Storing,
): Promise<OpenBatch> {
  const { engine, audience, scope } = job
  const { keys, keepsOrder, applies } = engine.destination.manifest
  const people = packed.parts.map(({ customerNo, kind, sets }) => ({ customerNo, kind, sets }))
  const seal = await engine.sealer.sealing(audience.tenantId, packed.parts.length + 1)
  const ledgerRows = packed.parts.map(({ customerNo, fingerprint, heldAfter }) => ({
    customerNo,
    fingerprint: fingerprint ?? 0,
    held: seal(encodeHeld(keys, heldAfter), heldOf(audience.no, customerNo)),
  }))
  const tagging = await taggingOf(job)
  const tagged = packed.operation === 'add' ? taggedBy(tagging, keys, people) : []
  const row = await job.lease.fenced(run.no, async (tx) => {
    const no = await insertBatch(tx, job, run, {
      operation: packed.operation,
      lane: packed.lane,
      session,
      people,
      suppressionsAt: oldest(packed.parts.map(({ suppressionsAt }) => suppressionsAt)),
      repeat,
      manner,
      sharedCall,
    })
    if (packed.operation === 'remove') {
      const everyone = numbersOf(people, () => true)
      if (privacy) await recordPrivacyRemovals(tx, scope, no, everyone)
      if (repeat) await recordRepeatedRemovals(tx, scope, no, everyone)
    }
    if (!repeat && !job.former)
      await forgetToSayAgain(
        tx,
        audience.no,
        numbersOf(people, () => true),
      )
    await insertPayload(tx, job, no, seal(encodePayload(keys, people), payloadOf(audience.no, no)))
    if (packed.operation === 'add') {
      await rememberEarlier(
        tx,
        scope,
        keepsOrder || applies === 'answer',
        repeat,
        numbersOf(people, () => true),
      )
      await recordAdditions(tx, scope, no, job.versions, ledgerRows)
      await recordTags(tx, scope, tagged)
    } else await recordRemovals(tx, scope, no, ledgerRows)
    if (repeat && !job.former)
      await sayAgainBy(
        tx,
        audience.no,
        no,
        numbersOf(people, () => true),
      )
    const of = (which: (part: Part) => boolean) => packed.parts.filter(which).map(({ customerNo }) => customerNo)
    await clearTodo(
      tx,
      audience.no,
      of(({ kind, afterRemoval }) => kind !== 'none' || afterRemoval),
      privacy ? 0 : run.no,
      privacy,
    )
    // What an earlier normaliser made of them goes when this is applied.
    const superseding = packed.operation === 'add' && !repeat ? packed.parts.filter(({ heldAfter }) => heldAfter.some(({ superseded }) => superseded)) : []
    await leave(
      tx,
      scope,
      run.no,
      'normaliser',
      superseding.map(({ customerNo }) => customerNo),
    )
    // The first half of a replacement leaves the person to do, for whoever goes on after a crash: only the second half says them,
    // and until then the ledger does not forget them (C1, C3). Whom this run has left already, because another part of that half was refused,
    // it leaves to the next one: the second half would clear them.
    const halves = of(({ half }) => half === true)
    const left = await leftBy(tx, audience.no, run.no, halves)
    await leave(
      tx,
      scope,
      null,
      'in_flight',
      halves.filter((no) => !left.has(no)),
    )
    await alongside(tx, no)
    return readBatch(tx, no)
  })
  job.exceptions.set(row.no, 'open')
  return { row, people }
}

interface NewBatch {
  readonly operation: Operation
  readonly lane: string
  readonly session: Session | null
  readonly people: readonly BatchPerson[]
  readonly suppressionsAt: string
  readonly repeat: boolean
  readonly manner: string
  readonly sharedCall?: number | undefined
}

export async function insertBatch(tx: Tx, { audience, scope }: Job, run: RunRow, batch: NewBatch): Promise<number> {
  const { operation, lane, session, people, suppressionsAt, repeat, manner, sharedCall = null } = batch
  const rows = people.reduce((sum, { sets }) => sum + sets.length, 0)
  const { rows: made } = await tx.query<{ no: number }>(
    `INSERT INTO batch (id, tenant_id, run_no, audience_no, destination_no, generation, operation, lane, session_id, session_seq, session_last,
       rows, added, removed, replaced, braked, state, suppressions_at, fetched_at, repeat, manner, shared_call)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 'sending', $17, now(), $18, $19, $20) RETURNING no`,
    [
      newUuid(),
      audience.tenantId,
      run.no,
      scope.audienceNo,
      scope.destinationNo,
      scope.generation,
      operation,
      lane,
      session?.id ?? null,
      session?.seq ?? null,
      session?.last ?? false,
      rows,
      countOf(people, 'added'),
      countOf(people, 'removed', 'withdrawn'),
      countOf(people, 'replaced'),
      countOf(people, 'removed'),
      suppressionsAt,
      repeat,
      manner,
      sharedCall,
    ],
  )
  if (!made[0]) throw new Error('No batch was stored.')
  return made[0].no
}

export const insertPayload = (tx: Tx, { scope }: Job, batchNo: number, sealed: Buffer) =>
  tx.query(
    `INSERT INTO batch_payload (batch_no, destination_no, tenant_no, payload) VALUES ($1, $2, $3, $4) ON CONFLICT (batch_no) DO UPDATE SET payload = excluded.payload`,
    [batchNo, scope.destinationNo, scope.tenantNo, sealed],
  )

/** A stored batch with its people, or null when its outcome is known already. */
export async function loadBatch(job: Job, no: number): Promise<OpenBatch | null> {
  const { engine, audience } = job
  return engine.db.tenant(audience.tenantId, async (tx) => {
    const row = await readBatch(tx, no)
    const { rows } = await tx.query<{ payload: Buffer }>('SELECT payload FROM batch_payload WHERE batch_no = $1', [no])
    if (!rows[0]) return null
    const bytes = await engine.sealer.opening(tx, audience.tenantId)(rows[0].payload, payloadOf(audience.no, no))
    return { row, people: decodePayload(engine.destination.manifest.keys, bytes) }
  })
}

/** Who of an addition was suppressed after its identifiers were fetched (C10). */
export async function tombstoned(tx: Tx, job: Job, batch: OpenBatch): Promise<Set<number>> {
  if (batch.row.operation !== 'add') return new Set()
  const { manifest } = job.engine.destination
  const { xid, seq } = readPosition(batch.row.suppressionsAt)
  const { rows } = await tx.query<{ customer_no: number }>(
    `SELECT customer_no FROM tombstone WHERE destination_no = $1 AND customer_no = ANY($2) AND (xid, seq) > ($3::bigint, $4::bigint) AND purposes & $5 <> 0`,
    [job.engine.destinationNo, batch.people.map(({ customerNo }) => customerNo), xid, seq, purposeBit(manifest.purpose(job.config.settings))],
  )
  return new Set(rows.map(({ customer_no }) => customer_no))
}

/** Takes people out of a batch that was never sent; answers null when nobody is left. They were kept back by us: never planned. */
export async function dropPeople(job: Job, run: RunRow, batch: OpenBatch, dropped: ReadonlySet<number>): Promise<OpenBatch | null> {
  const { engine, audience, scope } = job
  const people = batch.people.filter(({ customerNo }) => !dropped.has(customerNo))
  const seal = await engine.sealer.sealing(audience.tenantId, 1)
  const row = await job.lease.fenced(run.no, async (tx) => {
    // Nothing of them was sent. Whoever is new to the ledger is unknown again; of the others it says what is held, and the removal that was
    // queued for them takes it all away.
    await leave(tx, scope, run.no, 'dissolved', [...dropped])
    const added = batch.people.filter(({ customerNo, kind }) => kind === 'added' && dropped.has(customerNo)).map(({ customerNo }) => customerNo)
    await neverAdded(tx, scope.audienceNo, batch.row.no, added)
    await tx.query('UPDATE run SET suppressed = suppressed + $2 WHERE no = $1', [run.no, dropped.size])
    if (people.length === 0) {
      await closeBatch(tx, batch.row.no, 'dissolved')
      return null
    }
    const rows = people.reduce((sum, { sets }) => sum + sets.length, 0)
    await tx.query('UPDATE batch SET rows = $2, added = $3, removed = $4, replaced = $5 WHERE no = $1', [
      batch.row.no,
      rows,
      countOf(people, 'added'),
      countOf(people, 'removed', 'withdrawn'),
      countOf(people, 'replaced'),
    ])
    await insertPayload(tx, job, batch.row.no, seal(encodePayload(engine.destination.manifest.keys, people), payloadOf(audience.no, batch.row.no)))
    return readBatch(tx, batch.row.no)
  })
  if (!row) job.exceptions.set(batch.row.no, 'failed')
  return row && { row, people }
}

/** The bytes: the same for the same stored batch, whatever was chosen since its run began (C9). */
export function requestOf({ engine, audience }: Job, { config }: RunRow, { row, people }: OpenBatch): EncodedRequest {
  const { destination } = engine
  if (row.manner === 'account') {
    if (!destination.removeEverywhere) throw new Error('The destination has no call for all audiences of an account.')
    return destination.removeEverywhere.encode({
      accountExternalId: audience.accountExternalId,
      rows: people.flatMap(({ sets }) => sets),
      config: config as SendConfig,
    })
  }
  const batch = batchToEncode(audience, config as SendConfig, row, people)
  if (row.manner !== 'replace') return destination.encode(batch)
  if (!destination.replaceList) throw new Error('The destination cannot replace a list.')
  return destination.replaceList.encode(batch)
}

function batchToEncode(audience: AudienceRow, config: SendConfig, row: BatchRow, people: readonly BatchPerson[]): Batch {
  if (audience.externalId === null) throw new Error('The far audience is not known yet.')
  return {
    operation: row.operation as Operation,
    audienceExternalId: audience.externalId,
    accountExternalId: audience.accountExternalId,
    rows: people.flatMap(({ sets }) => sets),
    session: row.sessionId === null ? null : { id: row.sessionId, seq: row.sessionSeq ?? 1, last: row.sessionLast },
    config,
  }
}

export const digestOf = (body: Buffer): Buffer => createHash('sha256').update(body).digest()

/** Its outcome is known, or given up: the state, and the rows are forgotten. Of what is abandoned the last try may land for a day yet. */
export async function closeBatch(tx: Tx, no: number, state: string, failure: unknown = null): Promise<void> {
  await tx.query(
    `UPDATE batch SET state = $2, failure = coalesce($3, failure), sent_at = CASE WHEN $2 = 'abandoned' THEN now() ELSE sent_at END WHERE no = $1`,
    [no, state, failure === null ? null : JSON.stringify(failure)],
  )
  await tx.query('DELETE FROM batch_payload WHERE batch_no = $1', [no])
}
