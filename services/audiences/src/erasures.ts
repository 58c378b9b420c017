/**
 * When an erasure is complete. behavior-export keeps erasures and cannot know; this side knows and keeps none. So it asks, again
 * and again, which are pending, looks whether anything may still hold the person, and says which are complete, with the proof, which
 * behavior-export keeps and the audit log names. Nothing of it is remembered here: whoever dies in between, or does the same beside another pod, changes nothing.
 *
 * Never early (RELIABILITY.md §4.7): an empty ledger proves nothing while a connector has not read of the erasure, because a
 * person whom it fetched before may be on the way. Once it has, each call that may still be made has its row in the ledger, and
 * what gets a row later is not sent (SYNC.md C10).
 */

import type { ErasureSubject } from '@audience-sync/contracts/internal/erasures'
import { comparePositions } from '@audience-sync/contracts/internal/position'
import type { Database, Tx } from '@audience-sync/db/database'
import type { Logger } from '@audience-sync/service/log'
import type { Peers } from './peers.ts'

/** How far the connector of a destination has read the suppression log; nulls when it never has. */
interface Reader {
  readonly destination: string
  readonly epoch: string | null
  readonly position: string | null
}

/** Of every destination to which the tenant has audiences. */
export async function readersOf(tx: Tx): Promise<Reader[]> {
  const { rows } = await tx.query<Reader>(
    `SELECT d.id AS destination, c.epoch, c.position FROM destination d LEFT JOIN suppression_cursor c ON c.destination_no = d.no
     WHERE EXISTS (SELECT FROM audience a WHERE a.destination_no = d.no AND a.deleted_at IS NULL) ORDER BY 1`,
  )
  return rows
}

/** Destinations whose connector has not read of the erasure yet. */
export const unheard = (readers: readonly Reader[], { suppressedAt }: Pick<ErasureSubject, 'suppressedAt'>): string[] =>
  suppressedAt === null
    ? []
    : readers
        .filter(({ epoch, position }) => epoch !== suppressedAt.epoch || comparePositions(position ?? '0:0', suppressedAt.position) < 0)
        .map(({ destination }) => destination)

/** Those of one tenant's erasures of which nothing is left anywhere; in a transaction of the tenant. */
export async function complete(tx: Tx, erasures: readonly ErasureSubject[]): Promise<string[]> {
  const readers = await readersOf(tx) // before the ledger: see above
  const heard = erasures.filter((erasure) => unheard(readers, erasure).length === 0)
  const { rows } = await tx.query<{ no: number }>('SELECT DISTINCT customer_no AS no FROM ledger WHERE customer_no = ANY($1::bigint[])', [
    heard.flatMap(({ customerNo }) => customerNo ?? []),
  ])
  const held = new Set(rows.map(({ no }) => Number(no)))
  return heard.filter(({ customerNo }) => customerNo === null || !held.has(customerNo)).map(({ id }) => id)
}

interface WatchParts {
  readonly db: Database
  readonly peers: Peers
  readonly log: Logger
  /** Signs what is known of it now; undefined: it is not complete. */
  readonly prove: (tx: Tx, subject: ErasureSubject) => Promise<string | undefined>
}

/** One page a round; after the last it begins again, so that those which wait for long do not keep others waiting. */
export function erasureWatch({ db, peers, log, prove }: WatchParts): () => Promise<boolean> {
  let after: string | undefined
  return async () => {
    const { erasures, done } = await peers.pendingErasures(after)
    for (const [tenantId, ofTenant] of Map.groupBy(erasures, (erasure) => erasure.tenantId)) {
      try {
        const ids = new Set(await db.tenant(tenantId, (tx) => complete(tx, ofTenant)))
        for (const erasure of ofTenant.filter(({ id }) => ids.has(id))) {
          const jws = await db.tenant(tenantId, (tx) => prove(tx, erasure))
          if (!jws) continue
          await peers.completeErasure(tenantId, erasure.id, jws)
          log.info({ tenantId, erasureId: erasure.id }, 'an erasure is complete')
        }
      } catch (error) {
        log.warn({ err: error, what: 'erasures', tenantId }, 'erasures could not be looked at; they are looked at again')
      }
    }
    after = done ? undefined : erasures.at(-1)?.id
    return !done
  }
}
