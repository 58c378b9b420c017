/**
 * From decisions to parts of batches: fetch the identifiers of exactly those who are to be said (the second check of consent
 * and suppression), make key sets of them, and plan what goes away against what the far side holds.
 */
import type { FetchVerdict } from '@audience-sync/contracts/internal/feed'
import type { Tx } from '@audience-sync/db/database'
import type { Person } from '@audience-sync/destination-kit/contract'
import { prepareAs } from '@audience-sync/destination-kit/transform'
import { PAGE } from '../options.ts'
import type { Feed } from '../peers.ts'
import { fingerprintOf } from '../pure/diff.ts'
import { decodeHeld, type HeldSet, planRemoval, planReplacement, type RemovalState, settleHeld } from '../pure/held.ts'
import { heldBeside, migrationStep } from '../pure/migration.ts'
import type { Part } from '../pure/packer.ts'
import { heldOf } from '../sealer.ts'
import { readHeld } from '../store/ledger.ts'
import { additionsApplied } from '../store/normaliser.ts'
import { neverTaken } from '../store/rejections.ts'
import { about, type Decided } from './decisions.ts'
import { inTenant } from './engine.ts'
import type { Job } from './job.ts'

export interface PersonParts {
  readonly customerNo: number
  /** Removal first. Empty: nothing is sent after all. */
  readonly parts: readonly Part[]
  /** Why nothing, or only a removal, is sent. */
  readonly suppressed: string | null
  /** The normaliser in force makes of them what the platform was told already. */
  readonly alike?: true
}

type Verdict = FetchVerdict
const NOTHING_SINCE = '0:0'

/** Sealed rows of the ledger, opened, with what became of their last removal. */
export async function heldOfPeople(
  tx: Tx,
  job: Pick<Job, 'engine' | 'audience' | 'exceptions'>,
  customers: readonly number[],
): Promise<Map<number, HeldSet[]>> {
  if (customers.length === 0) return new Map()
  const { engine, audience, exceptions } = job
  const rows = await readHeld(tx, audience.no, audience.generation, customers)
  const removals = [...new Set([...rows.values()].flatMap(({ removeBatch }) => (removeBatch === null ? [] : [removeBatch])))]
  const { rows: applied } = await tx.query<{ no: number }>(
    `SELECT no FROM batch WHERE no = ANY($1) AND state = 'applied' AND confirmed AND unnamed_rejections = 0`,
    [removals],
  )
  const { rows: refused } = await tx.query<{ batch: number; customer: number }>(
    'SELECT batch_no AS batch, customer_no AS customer FROM rejection WHERE audience_no = $1 AND customer_no = ANY($2) AND batch_no = ANY($3)',
    [audience.no, customers, removals],
  )
  const gone = new Set(applied.map(({ no }) => no))
  const kept = new Set(refused.map(({ batch, customer }) => `${batch} ${customer}`))
  const stateOf = (no: number | null, customer: number): RemovalState =>
    no === null || exceptions.get(no) === 'failed' || kept.has(`${no} ${customer}`) ? 'not_done' : gone.has(no) ? 'applied' : 'open'
  const open = engine.sealer.opening(tx, audience.tenantId)
  const held = new Map<number, HeldSet[]>()
  for (const [no, row] of rows) {
    const sets = decodeHeld(engine.destination.manifest.keys, await open(row.held, heldOf(audience.no, no)))
    // Of whoever is left to do, some calls were made and some were not, and the ledger names the last one only: nothing counts as gone.
    const state = row.left ? 'not_done' : stateOf(row.removeBatch, no)
    // An earlier addition may still come after an applied removal (C4): until that is said again, its sets are not gone.
    held.set(no, settleHeld(sets, state === 'applied' && row.again ? 'open' : state))
  }
  return held
}

/**
 * Removals are decided anew on how things stand now, because a later page may bring the person back: the feed tells it, without
 * personal data. Additions and replacements are decided by the fetch. So whatever is said is at least as new as the bound,
 * and a person who comes twice in one run needs no second look.
 */
export async function partsOf(job: Job, feed: Feed, decided: readonly Decided[], page: number, exact: boolean): Promise<PersonParts[]> {
  const leaving = decided.filter(({ decision }) => decision.kind === 'remove')
  const wanted = decided.filter(({ decision }) => decision.kind === 'add' || decision.kind === 'replace')
  const fresh =
    leaving.length === 0
      ? []
      : await feed.rows(
          leaving.map(({ customerNo }) => customerNo),
          job.lease.signal,
        )
  const gone = leaving
    .map(({ customerNo, known, forced, refused }, i) => about(job, customerNo, fresh[i], known, forced, refused))
    .filter(({ decision }) => decision.kind === 'remove')
  const remembered = [...gone, ...wanted.filter(({ known }) => known)].map(({ customerNo }) => customerNo)
  const { held, there, never } = await inTenant(job.engine, job.lease.tenantId, async (tx) => {
    const known = await heldOfPeople(tx, job, remembered)
    const superseding = [...known].filter(([, sets]) => sets.some(({ superseded }) => superseded)).map(([no]) => no)
    const again = wanted.filter((one) => one.known && one.forced).map(({ customerNo }) => customerNo)
    return { held: known, there: await additionsApplied(tx, job.audience.no, superseding), never: await neverTaken(tx, job.scope, again) }
  })
  const result = gone.map(({ customerNo, refused, decision }) =>
    removal(customerNo, held.get(customerNo) ?? [], page, decision.kind === 'remove' && decision.privacy, refused),
  )
  for (let at = 0; at < wanted.length; at += PAGE) {
    const slice = wanted.slice(at, at + PAGE)
    const { verdicts, suppressionsAt } = await feed.fetch(
      slice.map(({ customerNo }) => customerNo),
      job.engine.destination.manifest.purpose(job.config.settings),
      job.lease.signal,
    )
    slice.forEach((person, i) => {
      const verdict = verdicts[i]
      if (verdict?.no !== person.customerNo) throw new Error('The fetch answered for somebody else.')
      const { customerNo } = person
      const mine = { held: held.get(customerNo) ?? [], there: there.has(customerNo), refusedOnly: never.has(customerNo) }
      result.push(said(job, person, verdict, mine, suppressionsAt, page, exact))
    })
  }
  return result
}

function removal(customerNo: number, held: readonly HeldSet[], page: number, privacy: boolean, refused = 0): PersonParts {
  const { remove, heldAfter } = planRemoval(held)
  if (remove.length === 0) return { customerNo, parts: [], suppressed: null }
  const part: Part = {
    customerNo,
    operation: 'remove',
    kind: privacy ? 'withdrawn' : 'removed',
    sets: remove,
    heldAfter,
    fingerprint: null,
    page,
    afterRemoval: false,
    suppressionsAt: NOTHING_SINCE,
    refused,
  }
  return { customerNo, parts: [part], suppressed: null }
}

/** The same for privacy: everything that may be there, whatever else is going on. */
export const privacyRemoval = (customerNo: number, held: readonly HeldSet[]): PersonParts => removal(customerNo, held, 0, true)

function said(
  { engine, config, choice, versions }: Job,
  { customerNo, known, forced, refused, row }: Decided,
  verdict: Verdict,
  { held, there, refusedOnly }: { readonly held: readonly HeldSet[]; readonly there: boolean; readonly refusedOnly: boolean },
  suppressionsAt: string,
  page: number,
  exact: boolean,
): PersonParts {
  const present = known !== undefined && held.some(({ removing }) => !removing)
  const keptBack = (why: string | null, privacy: boolean): PersonParts =>
    present ? removal(customerNo, held, page, privacy, refused) : { customerNo, parts: [], suppressed: why }
  if (verdict.verdict === 'not_member') return keptBack(null, false)
  if (verdict.verdict === 'suppressed') return keptBack(verdict.reason, true)
  const fingerprint = fingerprintOf(verdict.groups, verdict.fingerprints, choice.watched)
  // Changed since the plan was compared: that is the next run's, which finds it behind the plan's bound.
  if (exact && row && fingerprint !== fingerprintOf(row[3], row[4], choice.watched)) return { customerNo, parts: [], suppressed: null }
  const prepared = preparedFor({ engine, config }, verdict)
  if (prepared.rejected) return keptBack(prepared.rejected, false)
  const { keys } = engine.destination.manifest
  const { sets } = prepared
  const step = known && migrationStep(keys, versions, { known, forced, held, sets, fingerprint, there })
  if (step === 'same') return { customerNo, parts: [], suppressed: null, alike: true }
  const shared = { customerNo, page, suppressionsAt, refused }
  if (step === 'beside') {
    const heldAfter = heldBeside(keys, held, sets)
    return { customerNo, parts: [{ ...shared, operation: 'add', kind: 'replaced', sets, heldAfter, fingerprint, afterRemoval: false }], suppressed: null }
  }
  const { remove, heldAfterRemove, heldAfterAdd } = planReplacement(keys, held, sets)
  const parts: Part[] = []
  if (remove.length > 0)
    parts.push({ ...shared, operation: 'remove', kind: 'none', sets: remove, heldAfter: heldAfterRemove, fingerprint: null, half: true, afterRemoval: false })
  parts.push({
    ...shared,
    operation: 'add',
    // What is sent is the same for both (C1). Two halves are a replacement, because they count once.
    kind: step === 'clean' ? 'kept' : present && (remove.length > 0 || !refusedOnly) ? 'replaced' : 'added',
    sets,
    heldAfter: heldAfterAdd,
    fingerprint,
    afterRemoval: remove.length > 0,
  })
  return { customerNo, parts, suppressed: null }
}

/** What would be sent of somebody who may be sent. */
export const preparedFor = ({ engine, config }: Pick<Job, 'engine' | 'config'>, verdict: Extract<Verdict, { verdict: 'send' }>) =>
  prepareAs(engine.destination, personOf(verdict), config)

export const personOf = ({ customerId, identifiers, consent, value, limitedDataUse }: Extract<Verdict, { verdict: 'send' }>): Person => ({
  customerId,
  identifiers,
  consent,
  ...(value !== undefined && { value }),
  limitedDataUse,
})
