/**
 * Why is this person there, or not: what behavior-export says of them now, beside what the ledger says that the far side was told.
 * Nothing is decrypted and nobody's identifiers are fetched.
 */

import { publicId } from '@audience-sync/contracts/ids'
import type { FeedRow } from '@audience-sync/contracts/internal/feed'
import { groupBit, type IdentifierChoice, purposeBit } from '@audience-sync/contracts/people'
import type { Explanation } from '@audience-sync/contracts/rest/audiences'
import type { Tx } from '@audience-sync/db/database'
import type { Manifest } from '@audience-sync/destination-kit/contract'
import type { AudienceRow } from '@audience-sync/sync-engine/store/rows'
import type { z } from 'zod'
import { wordsOf } from './reasons.ts'

type Answer = z.output<typeof Explanation>

interface Told {
  readonly operation: 'add' | 'remove'
  readonly state: string
  readonly batch_id: string
  readonly run_id: string
  readonly receipt: Record<string, unknown> | null
}

export async function explain(tx: Tx, audience: AudienceRow, manifest: Manifest, customerId: string, [no, member, purposes, groups]: FeedRow): Promise<Answer> {
  const purpose = manifest.purpose(audience.settings)
  const allowed = (purposes & purposeBit(purpose)) !== 0
  const choices = audience.identifiers as IdentifierChoice[]
  const usable = choices.some((choice) => groups & groupBit(choice))
  const wanted = member === 1 && allowed && usable

  const told = await lastTold(tx, audience, no)
  const refused = await lastRefusal(tx, audience.no, no)
  const state = told ? stateOf(told) : refused ? 'rejected' : 'absent'
  const there = told !== undefined && told.operation === 'add' && state !== 'rejected'
  const code = state === 'rejected' ? refused?.code : member === 1 && !allowed ? 'consent_denied' : member === 1 && !usable ? 'no_usable_identifier' : undefined
  return {
    customerId,
    membership: { member: member === 1 },
    consent: { purpose, allowed },
    identifiers: Object.fromEntries(choices.map((choice) => [choice, { kept: (groups & groupBit(choice)) !== 0 }])),
    state,
    operation: told?.operation ?? null,
    reason: code === undefined ? null : { ...wordsOf(code), ...(state === 'rejected' && refused?.platform != null && { platform: refused.platform }) },
    runId: told ? publicId('run', told.run_id) : null,
    batchId: told ? publicId('batch', told.batch_id) : null,
    receipt: told?.receipt ?? null,
    next: wanted && !there ? 'add' : !wanted && there ? 'remove' : 'none',
  }
}

/** The last batch that named this person in this generation of the far audience. */
async function lastTold(tx: Tx, { no, generation }: AudienceRow, customerNo: number): Promise<Told | undefined> {
  const { rows } = await tx.query<Told>(
    `SELECT CASE WHEN coalesce(l.remove_batch, 0) > coalesce(l.add_batch, 0) THEN 'remove' ELSE 'add' END AS operation,
       b.state, b.id AS batch_id, r.id AS run_id, b.receipt
     FROM ledger l JOIN batch b ON b.no = greatest(l.add_batch, l.remove_batch) JOIN run r ON r.no = b.run_no
     WHERE l.audience_no = $1 AND l.customer_no = $2 AND l.generation = $3`,
    [no, customerNo, generation],
  )
  return rows[0]
}

async function lastRefusal(tx: Tx, audienceNo: number, customerNo: number): Promise<{ code: string; platform: unknown } | undefined> {
  const { rows } = await tx.query<{ code: string; platform: unknown }>(
    'SELECT code, platform FROM rejection WHERE audience_no = $1 AND customer_no = $2 ORDER BY last_at DESC LIMIT 1',
    [audienceNo, customerNo],
  )
  return rows[0]
}

/** A batch's state is that of the people it names; whatever ended without being taken is left to do. */
function stateOf({ operation, state }: Told): Answer['state'] {
  switch (state) {
    case 'planned':
    case 'sending':
    case 'accepted':
    case 'rejected':
    case 'unknown':
      return state
    case 'applied':
      return operation === 'add' ? 'applied' : 'removed'
    case 'abandoned':
      return 'unknown'
    default:
      return 'absent'
  }
}
