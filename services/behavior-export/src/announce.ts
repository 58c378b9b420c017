/** Wakes for the other half, in the transaction of the change: one event per behavior, one per reason of suppression. */
import { topics } from '@audience-sync/contracts/events/topics'
import { publicId } from '@audience-sync/contracts/ids'
import { purposeBit, purposes, type SuppressionReason } from '@audience-sync/contracts/people'
import type { Tx } from '@audience-sync/db/database'
import { publish } from '@audience-sync/events/outbox'
import type { BehaviorRow } from './behaviors.ts'
import type { Tenant } from './tenants.ts'

/** `changes`: rows written to the change log, by behavior number. */
export async function announceBehaviors(tx: Tx, tenant: Tenant, changes: ReadonlyMap<number, number>): Promise<void> {
  if (changes.size === 0) return
  const { rows } = await tx.query<{ no: number; id: string }>('SELECT no, id FROM behavior WHERE no = ANY($1) ORDER BY no', [[...changes.keys()]])
  for (const { no, id } of rows) {
    const behaviorId = publicId('behavior', id)
    await publish(tx, { topic: topics.behaviorUpdated, tenantId: tenant.id, key: behaviorId, message: { behaviorId, changes: changes.get(no) ?? 0 } })
  }
}

type Described = Pick<BehaviorRow, 'id' | 'key' | 'kind' | 'description'>

/** A behavior that is new, or, where `before` is given, described anew. Another key or name is no news: it means the same people. */
export async function announceBehavior(tx: Tx, tenantId: string, now: Described, before?: Pick<BehaviorRow, 'kind' | 'description'>): Promise<void> {
  if (before && before.kind === now.kind && before.description === now.description) return
  const behaviorId = publicId('behavior', now.id)
  const topic = before ? topics.behaviorCriteriaChanged : topics.behaviorCreated
  await publish(tx, { topic: topic as typeof topics.behaviorCreated, tenantId, key: behaviorId, message: { behaviorId, key: now.key, kind: now.kind } })
}

export interface Loss {
  readonly customerNo: number
  /** Purpose bits that are no longer allowed. */
  readonly purposes: number
  readonly reason: SuppressionReason
}

/** Appends to the suppression log and wakes its readers (SYNC.md C10). */
export async function suppress(tx: Tx, tenant: Tenant, losses: readonly Loss[]): Promise<void> {
  if (losses.length === 0) return
  await tx.query(
    `INSERT INTO suppression_log (tenant_id, customer_no, purposes, reason)
     SELECT $1, customer_no, purposes, reason FROM unnest($2::bigint[], $3::smallint[], $4::text[]) AS l(customer_no, purposes, reason)`,
    [tenant.id, losses.map((loss) => loss.customerNo), losses.map((loss) => loss.purposes), losses.map((loss) => loss.reason)],
  )
  for (const [reason, of] of Map.groupBy(losses, (loss) => loss.reason)) {
    const bits = of.reduce((all, loss) => all | loss.purposes, 0)
    await publish(tx, {
      topic: topics.customerSuppressed,
      tenantId: tenant.id,
      key: tenant.id,
      message: { purposes: purposes.filter((purpose) => bits & purposeBit(purpose)), reason, count: of.length },
    })
  }
}
