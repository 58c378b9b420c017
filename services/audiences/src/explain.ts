/**
 * Why is this person there, or not: what behavior-export says of them now, beside what the ledger says that the far side was told;
 * and, by the very rule that a run decides with, what would be said next. Nobody's identifiers are fetched: behavior-export looks at
 * them and says only which can be used.
 */
import { publicId } from '@audience-sync/contracts/ids'
import type { Explained } from '@audience-sync/contracts/internal/feed'
import type { IdentifierChoice, Purpose } from '@audience-sync/contracts/people'
import type { Explanation } from '@audience-sync/contracts/rest/audiences'
import { fieldNames, groupOfField, type Transformation } from '@audience-sync/contracts/transformations'
import type { Tx } from '@audience-sync/db/database'
import type { Manifest } from '@audience-sync/destination-kit/manifest-contract'
import { choiceOf, type Decision } from '@audience-sync/sync-engine/pure/diff'
import { lookUp, readExceptions } from '@audience-sync/sync-engine/store/ledger'
import type { AudienceRow } from '@audience-sync/sync-engine/store/rows'
import { about } from '@audience-sync/sync-engine/worker/decisions'
import type { z } from 'zod'
import { countedAsAdded } from './plan/look.ts'
import { removalsOf } from './proof.ts'
import { wordsOf } from './reasons.ts'

type Answer = z.output<typeof Explanation>

export interface Told {
  readonly no: number
  readonly operation: 'add' | 'remove'
  readonly state: string
  readonly batch_id: string
  readonly run_id: string
  readonly receipt: Record<string, unknown> | null
  /** The platform refused some of its rows and did not say which. */
  readonly doubted: boolean
}

interface Refusal {
  readonly batch_no: number | null
  readonly code: string
  readonly platform: unknown
}

export async function explain(tx: Tx, audience: AudienceRow, manifest: Manifest, customerId: string, known: Explained): Promise<Answer> {
  const { row, membership, consent } = known
  const [no] = row
  const choices = audience.identifiers as IdentifierChoice[]
  const purpose: Purpose = manifest.purpose(audience.settings)
  const choice = choiceOf(choices, purpose, manifest.sends(audience.settings), audience.transformations as Transformation[])
  const suppressedBy = known.suppressedBy[purpose]

  const told = await lastTold(tx, audience, no)
  const refusal = await lastRefusal(tx, audience.no, no)
  const refused = refusal !== undefined && (!told || told.state === 'rejected' || refusal.batch_no === told.no)
  const found = await lookUp(tx, audience.no, audience.generation, [no], await readExceptions(tx, audience.no))
  const versions = { configVersion: audience.configVersion, normaliser: manifest.normaliserVersion }
  const scope = { audienceNo: audience.no, tenantNo: audience.tenantNo, destinationNo: audience.destinationNo, generation: audience.generation }
  const decided = about({ choice, versions }, no, row, found.known.get(no), found.forced.has(no))
  const [{ decision } = decided] = await countedAsAdded(tx, { scope, choice }, [decided])
  const fields = { ...known.fields }
  for (const field of known.withheld[purpose] ?? []) if (fields[field] === null) fields[field] = 'identifier_shared'
  const identifiers = Object.fromEntries(choices.map((one) => [one, becameOf(fields, one)]))
  const keptBack = keptBackBy(decision, known.leftOut, Object.values(identifiers), suppressedBy)
  return {
    customerId,
    membership,
    consent: { ...consent, purpose, allowed: suppressedBy === null, code: suppressedBy },
    identifiers,
    state: refused ? 'rejected' : told ? stateOf(told) : 'absent',
    operation: told?.operation ?? null,
    reason: reasonOf(audience, decision, keptBack, refused ? refusal : undefined),
    runId: told ? publicId('run', told.run_id) : null,
    batchId: told ? publicId('batch', told.batch_id) : null,
    receipt: told?.receipt ?? null,
    next: nextOf(decision, keptBack),
    removals: await removalsOf(tx, audience.no, no),
  }
}

type Kept = NonNullable<Answer['identifiers']['email']>

/** Of one choice: kept when one of its fields can be used. */
function becameOf(fields: Explained['fields'], choice: IdentifierChoice): Kept {
  const given = fieldNames.filter((field) => groupOfField[field] === choice && fields[field] !== undefined)
  const dropped = given.flatMap((field) => (fields[field] ? [{ field, code: fields[field] }] : []))
  const kept = dropped.length < given.length
  return { kept, ...(!kept && { code: dropped[0]?.code ?? 'identifier_missing' }), dropped }
}

/** Why a run would keep this person back; the plan sees some of it, the rest shows when the person is prepared. */
function keptBackBy(decision: Decision, leftOut: boolean, identifiers: readonly Kept[], suppressedBy: string | null): string | null {
  if (decision.kind === 'suppressed') return decision.reason === 'no_usable_identifier' ? decision.reason : (suppressedBy ?? decision.reason)
  if (decision.kind !== 'add' && decision.kind !== 'replace') return null
  if (leftOut) return 'dropped_by_rule'
  return identifiers.some(({ kept }) => kept) ? null : 'no_usable_identifier'
}

function nextOf({ kind }: Decision, keptBack: string | null): Answer['next'] {
  if (kind === 'remove') return kind
  if (kind !== 'add' && kind !== 'replace') return 'none'
  if (keptBack === null) return kind
  // They are there, and may not be any longer.
  return kind === 'replace' ? 'remove' : 'none'
}

/**
 * The last batch that named this person in this generation of the far audience, and was not given up before it was taken; of whom the
 * ledger has forgotten, the one that removed them.
 */
async function lastTold(tx: Tx, { no, generation }: AudienceRow, customerNo: number): Promise<Told | undefined> {
  const { rows } = await tx.query<Told>(
    `SELECT b.no, CASE WHEN b.no = l.add_batch THEN 'add' ELSE 'remove' END AS operation, b.state, b.id AS batch_id, r.id AS run_id, b.receipt, b.unnamed_rejections > 0 AS doubted
     FROM ledger l JOIN batch b ON b.no IN (l.add_batch, l.remove_batch) JOIN run r ON r.no = b.run_no
     WHERE l.audience_no = $1 AND l.customer_no = $2 AND l.generation = $3 AND b.state NOT IN ('failed', 'cancelled', 'dissolved')
     UNION ALL
     SELECT b.no, 'remove', b.state, b.id, r.id, b.receipt, b.unnamed_rejections > 0 FROM removed_member g JOIN batch b ON b.no = g.batch_no JOIN run r ON r.no = b.run_no
     WHERE g.audience_no = $1 AND g.customer_no = $2 AND b.generation = $3
     ORDER BY no DESC LIMIT 1`,
    [no, customerNo, generation],
  )
  return rows[0]
}

async function lastRefusal(tx: Tx, audienceNo: number, customerNo: number): Promise<Refusal | undefined> {
  const { rows } = await tx.query<Refusal>(
    'SELECT batch_no, code, platform FROM rejection WHERE audience_no = $1 AND customer_no = $2 ORDER BY last_at DESC LIMIT 1',
    [audienceNo, customerNo],
  )
  return rows[0]
}

/** A batch's state is that of the people it names; of one that was refused to some without a name, nobody's is known (SYNC.md C24). */
export function stateOf({ operation, state, doubted }: Pick<Told, 'operation' | 'state' | 'doubted'>): Answer['state'] {
  if (doubted && (state === 'accepted' || state === 'applied')) return 'unknown'
  switch (state) {
    case 'planned':
    case 'sending':
    case 'accepted':
    case 'rejected':
      return state
    case 'applied':
      return operation === 'add' ? 'applied' : 'removed'
    default:
      return 'unknown'
  }
}

/** Refused by the platform, kept back by us, or withheld until the audience is large enough. */
function reasonOf({ tooSmall }: AudienceRow, decision: Decision, keptBack: string | null, refusal: Refusal | undefined): Answer['reason'] {
  if (refusal) return { ...wordsOf(refusal.code), ...(refusal.platform != null && { platform: refusal.platform }) }
  if (keptBack !== null) return wordsOf(keptBack)
  return tooSmall && decision.kind === 'add' ? wordsOf('audience_too_small') : null
}
