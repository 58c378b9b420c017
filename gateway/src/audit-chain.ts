/**
 * The hash chain of one tenant's audit log: each row's hash covers its own fields and the hash before it, so a row that is
 * changed, removed or slipped in later shows. What a chain cannot show is that its newest rows were cut off: keep the last
 * hash elsewhere for that.
 */
import { createHash } from 'node:crypto'

/** Who did what to what, and how it ended. Ids only: `target` never holds personal data. */
export interface AuditEvent {
  readonly at: Date
  /** `key:<id>`, `jwt:<issuer>#<sub>`, `bootstrap` or `anonymous`. */
  readonly actor: string
  /** For example `api_key.created`, `auth.failed`, `POST`. */
  readonly action: string
  readonly target: string
  readonly result: 'ok' | 'refused' | 'failed'
  readonly status: number
  readonly requestId: string
}

export interface AuditRow extends AuditEvent {
  readonly seq: number
  readonly previousHash: Buffer
  readonly hash: Buffer
}

/** Where a chain stands. */
export type Link = Pick<AuditRow, 'seq' | 'hash'>

/** What the first row of a chain follows. */
export const GENESIS = Buffer.alloc(32)

/** The rows that continue a chain after the row (`seq`, `hash`). */
export function chain(tenantId: string, last: Link, events: readonly AuditEvent[]): AuditRow[] {
  let { seq, hash } = last
  return events.map((event) => {
    const previousHash = hash
    seq += 1
    hash = hashOf(tenantId, { ...event, seq, previousHash })
    return { ...event, seq, previousHash, hash }
  })
}

/** What is wrong with a row that should follow `last`: rows between them are missing, or one of the two is not what was written. */
export function faultOf(tenantId: string, row: AuditRow, last: Link): 'missing' | 'altered' | undefined {
  if (row.seq !== last.seq + 1) return 'missing'
  return row.previousHash.equals(last.hash) && hashOf(tenantId, row).equals(row.hash) ? undefined : 'altered'
}

/** The sequence number of the first row that is not what was written, or undefined. `rows` in order, from `after` on. */
export function firstBroken(tenantId: string, rows: readonly AuditRow[], after: Link = { seq: 0, hash: GENESIS }): number | undefined {
  let last = after
  for (const row of rows) {
    if (faultOf(tenantId, row, last)) return row.seq
    last = row
  }
  return undefined
}

function hashOf(tenantId: string, row: Omit<AuditRow, 'hash'>): Buffer {
  const { seq, at, actor, action, target, result, status, requestId } = row
  const fields = [tenantId, seq, at.toISOString(), actor, action, target, result, status, requestId]
  return createHash('sha256').update(row.previousHash).update(JSON.stringify(fields)).digest()
}
