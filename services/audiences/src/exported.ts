/**
 * Where a customer is exported to: every audience of the tenant whose far side holds this person, or may. By the ledger's own index,
 * so the cost is that of the audiences which they are in. Whoever was removed and forgotten is in none.
 */
import { publicId } from '@audience-sync/contracts/ids'
import type { CustomerExport } from '@audience-sync/contracts/rest/behaviors'
import type { Tx } from '@audience-sync/db/database'
import { stateOf, type Told } from './explain.ts'

const MOST = 1_000 // as many audiences as nobody reads; what they were told is under each audience's own route

interface Row extends Pick<Told, 'operation' | 'state' | 'doubted'> {
  readonly audience_id: string
  readonly behavior_id: string
  readonly name: string
  readonly destination: string
  readonly refused: boolean
}

export async function exportsOf(tx: Tx, customerNo: number): Promise<CustomerExport[]> {
  const { rows } = await tx.query<Row>(
    `SELECT a.id AS audience_id, a.behavior_id, a.name, a.destination, b.operation, b.state, b.doubted,
       b.state = 'rejected' OR EXISTS (SELECT FROM rejection j WHERE j.audience_no = a.no AND j.customer_no = l.customer_no AND j.batch_no = b.no) AS refused
     FROM ledger l JOIN audience a ON a.no = l.audience_no AND a.generation = l.generation
     CROSS JOIN LATERAL (
       SELECT b.no, CASE WHEN b.no = l.add_batch THEN 'add' ELSE 'remove' END AS operation, b.state, b.unnamed_rejections > 0 AS doubted
       FROM batch b WHERE b.no IN (l.add_batch, l.remove_batch) AND b.state NOT IN ('failed', 'cancelled', 'dissolved') ORDER BY b.no DESC LIMIT 1) AS b
     WHERE l.customer_no = $1 AND a.deleted_at IS NULL ORDER BY a.no LIMIT ${MOST}`,
    [customerNo],
  )
  return rows.map((row) => ({
    audienceId: publicId('audience', row.audience_id),
    behaviorId: publicId('behavior', row.behavior_id),
    name: row.name,
    destination: row.destination,
    operation: row.operation,
    state: row.refused ? 'rejected' : stateOf(row),
  }))
}
