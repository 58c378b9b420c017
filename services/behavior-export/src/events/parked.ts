/**
 * Events for behaviors that nobody has told us of yet (API.md «Events»): kept 7 days, used when the behavior appears, then
 * dead-lettered. A round looks once; behaviors and parked events are written without a lock between them, so that an event
 * that was parked while its behavior was being made is found by the next round.
 */

import { type MembershipChanged, MembershipChangedSchema } from '@audience-sync/contracts/events/gen/audience_sync/events/v1/ingest_pb'
import { header } from '@audience-sync/contracts/events/headers'
import { topics } from '@audience-sync/contracts/events/topics'
import { newUuid } from '@audience-sync/contracts/ids'
import { isStorable } from '@audience-sync/contracts/rest/behaviors'
import type { Database, Tx } from '@audience-sync/db/database'
import type { ReceivedEvent } from '@audience-sync/events/consumer'
import { bury } from '@audience-sync/events/dead-letters'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { ingestMemberships } from '../ingest/memberships.ts'
import { findTenant, holdCountry } from '../tenants.ts'
import { changesOf } from './convert.ts'
import { eventIdOf } from './event-id.ts'

const KEPT_MS = 7 * 24 * 3_600_000 // API.md
const EVENTS_A_ROUND = 10 // up to 1,000 changes each: one transaction of the usual size
const LETTERS_A_ROUND = 100
const CONSUMER = 'behavior-export.parked' // of its own: the inbox already knows the event under the name of who parked it

export async function park(tx: Tx, event: ReceivedEvent<MembershipChanged>, behavior: string, now: Date): Promise<void> {
  await tx.query('INSERT INTO parked_event (id, tenant_id, behavior, key, headers, message, parked_at) VALUES ($1, $2, $3, $4, $5, $6, $7)', [
    newUuid(),
    event.tenantId,
    behavior,
    isStorable(event.key) ? event.key : '',
    Object.fromEntries(Object.entries(event.headers).filter(([name, value]) => isStorable(name) && isStorable(value))),
    Buffer.from(toBinary(MembershipChangedSchema, event.message)),
    now,
  ])
}

interface ParkedRow {
  readonly id: string
  readonly tenant_id: string
  readonly behavior: string
  readonly key: string
  readonly headers: Record<string, string>
  readonly message: Buffer
}

export interface ParkedParts {
  readonly db: Database
  readonly vault: DekStore
  /** 32 bytes: seals dead letters. */
  readonly deadLetterKey: Buffer
  readonly now: () => number
}

/** One round over all tenants. True: more is waiting. */
export async function useParked(parts: ParkedParts): Promise<boolean> {
  const { rows } = await parts.db.tx((tx) => tx.query<{ tenant_id: string }>('SELECT DISTINCT tenant_id FROM parked_event'))
  let more = false
  for (const { tenant_id } of rows) more = (await useOfTenant(parts, tenant_id)) || more
  return (await buryExpired(parts)) || more
}

const useOfTenant = ({ db, vault, now }: ParkedParts, tenantId: string): Promise<boolean> =>
  db.tenant(tenantId, async (tx) => {
    await holdCountry(tx, tenantId)
    const tenant = await findTenant(tx, vault, tenantId)
    if (!tenant) return false
    // The number with the row, in one statement: a behavior that changes its key meanwhile is still the one that was meant.
    const { rows } = await tx.query<ParkedRow & { behavior_no: number }>(
      `WITH due AS (
         SELECT p.id, b.no AS behavior_no FROM parked_event p JOIN behavior b ON p.behavior IN ('id:' || b.id, 'key:' || b.key)
         ORDER BY p.parked_at LIMIT $1 FOR UPDATE OF p SKIP LOCKED)
       DELETE FROM parked_event p USING due WHERE p.id = due.id RETURNING p.*, due.behavior_no`,
      [EVENTS_A_ROUND],
    )
    const inputs = rows.flatMap(({ behavior_no: behaviorNo, message, headers }) =>
      changesOf(fromBinary(MembershipChangedSchema, message), now()).map((change) => ({
        ...change,
        behaviorNo,
        eventId: eventIdOf(headers[header.id]),
      })),
    )
    await ingestMemberships(tx, tenant, inputs)
    return rows.length === EVENTS_A_ROUND
  })

async function buryExpired({ db, deadLetterKey, now }: ParkedParts): Promise<boolean> {
  const { rows } = await db.tx((tx) =>
    tx.query<ParkedRow>('SELECT * FROM parked_event WHERE parked_at < $1 ORDER BY parked_at LIMIT $2', [new Date(now() - KEPT_MS), LETTERS_A_ROUND]),
  )
  for (const { id, tenant_id, key, headers, message } of rows) {
    // Where it stood in its topic is not known any more; its id is.
    const record = { topic: topics.behaviorMembershipChanged.name, partition: 0, offset: id, key, headers, value: message }
    await bury({ db, key: deadLetterKey, consumer: CONSUMER, record, reason: 'behavior_unknown', attempts: 1 })
    await db.tenant(tenant_id, (tx) => tx.query('DELETE FROM parked_event WHERE id = $1', [id]))
  }
  return rows.length === LETTERS_A_ROUND
}
