/**
 * Who people are, and what they allow. Both doors come here with up to 10,000 people a transaction: lock in key order
 * (SYNC.md C6), decide in memory what is newer, write, and append a feed row to each behavior that a changed person is or was in.
 *
 * Identifiers (with the value) and consent are two parts, each with its own time: the last writer of a part wins, a replay
 * writes nothing, and at equal times a consent that takes something away wins.
 */
import { type Consent, groupBit, type Identifiers, type Purpose, purposeBit } from '@audience-sync/contracts/people'
import type { Tx } from '@audience-sync/db/database'
import { permission, suppression } from '@audience-sync/destination-kit/consent'
import type { DroppedField } from '@audience-sync/destination-kit/contract'
import type { Dek } from '@audience-sync/vault/envelope'
import { announceBehaviors, type Loss, suppress } from '../announce.ts'
import { assess } from '../people/assess.ts'
import { consentOf, NO_CONSENT } from '../people/consent.ts'
import { withConsent } from '../people/fingerprint.ts'
import { sealIdentifiers } from '../people/identifiers.ts'
import { splitTags } from '../people/tags.ts'
import { marked, readWithheld } from '../people/withheld.ts'
import type { Tenant } from '../tenants.ts'
import { type CustomerRow, type CustomerState, lockCustomers, storeCustomers } from './customer-rows.ts'
import { ALL_PURPOSES, type Change, shareOut, withSharers } from './sharing.ts'
import { addStubs } from './stubs.ts'

export interface CustomerInput {
  readonly customerId: string
  readonly identifiers?: Identifiers | undefined
  readonly value?: number | undefined
  readonly consent?: Consent | undefined
  /** Milliseconds since 1970. */
  readonly at: number
}

export interface CustomerOutcome {
  /** People of whom something else is stored now. */
  readonly changed: number
  readonly stale: number
  /** Customers that were erased; nothing of theirs was stored. */
  readonly erased: ReadonlySet<string>
  /** What could not be normalised, by customer; it is stored nonetheless. */
  readonly unusable: ReadonlyMap<string, readonly DroppedField[]>
}

/** `dek` seals; ask the vault for it before the transaction. */
export async function ingestCustomers(tx: Tx, dek: Dek, tenant: Tenant, inputs: readonly CustomerInput[]): Promise<CustomerOutcome> {
  const byCustomer = Map.groupBy(inputs, ({ customerId }) => customerId)
  const plan = await withSharers(
    tx,
    tenant,
    inputs.some((input) => denies(tenant, input)),
    async (sharers) => {
      const { rows, erased } = await locked(tx, tenant, [...new Set([...byCustomer.keys(), ...sharers])])
      return { ...planned(tenant, dek, rows, byCustomer), erased }
    },
  )
  await announceBehaviors(tx, tenant, await storeCustomers(tx, tenant, await shareOut(tx, tenant, plan)))
  await suppress(tx, tenant, plan.losses)
  const { changed, stale, erased, unusable } = plan
  return { changed, stale, erased, unusable }
}

/** What is left unsaid is taken as said by nobody: a guess, made before anything is read. */
const denies = (tenant: Tenant, { consent, identifiers }: CustomerInput): boolean =>
  permission(consent ?? NO_CONSENT, identifiers?.country, tenant.defaultCountry).purposes !== ALL_PURPOSES

function planned(tenant: Tenant, dek: Dek, rows: readonly CustomerRow[], byCustomer: ReadonlyMap<string, readonly CustomerInput[]>) {
  const unusable = new Map<string, readonly DroppedField[]>()
  const changes: Change[] = []
  const others: CustomerState[] = []
  const losses: Loss[] = []
  let changed = 0
  let stale = 0
  for (const row of rows) {
    const before = stateOf(tenant, row)
    let state = before
    for (const input of byCustomer.get(row.customer_id) ?? []) {
      const next = apply(tenant, dek, state, input)
      if (next === 'stale') stale += 1
      else if (next) state = next
    }
    if (state === before) {
      others.push(before)
      continue
    }
    if (state.identifiers && state.unusable?.length) unusable.set(row.customer_id, state.unusable)
    const differs = state.feedChanged || state.present !== row.present || spelled(state.unusable) !== spelled(row.unusable)
    if (differs) changed += 1
    changes.push({ before, after: state })
    const lost = row.occurred_ms === null && row.consent_ms === null ? 0 : row.purposes & ~state.purposes // nothing can have been sent of a stub
    if (lost) losses.push({ customerNo: row.no, purposes: lost, reason: reasonOf(lost, state, tenant) })
  }
  return { changes, others, losses, changed, stale, unusable }
}

const spelled = (unusable: CustomerRow['unusable']) => (unusable ?? []).map(({ field, code }) => `${field} ${code}`).join()

async function locked(tx: Tx, tenant: Tenant, ids: readonly string[]): Promise<{ rows: CustomerRow[]; erased: ReadonlySet<string> }> {
  const rows = await lockCustomers(tx, tenant, ids)
  if (rows.length === ids.length) return { rows, erased: new Set() }
  const found = new Set(rows.map(({ customer_id }) => customer_id))
  const missing = ids.filter((id) => !found.has(id))
  const erased = await addStubs(tx, tenant, missing)
  return { rows: [...rows, ...(await lockCustomers(tx, tenant, missing))], erased }
}

export function stateOf(tenant: Tenant, row: CustomerRow): CustomerState {
  const tags = splitTags(row.tags)
  const withheld = readWithheld(tags, row.withheld)
  return {
    no: row.no,
    occurredAt: row.occurred_ms,
    consentAt: row.consent_ms,
    value: row.value,
    consent: consentOf(row),
    country: row.country,
    purposes: row.purposes,
    groups: row.groups,
    present: row.present,
    fingerprints: marked(tenant.hmac, row.groups, row.fingerprints, withheld),
    tags,
    withheld,
    unusable: row.unusable,
    identifiers: null,
    feedChanged: false,
  }
}

/** The state after one input; undefined: the same input again; 'stale': all that it says is older than what is stored. */
function apply(tenant: Tenant, dek: Dek, state: CustomerState, input: CustomerInput): CustomerState | 'stale' | undefined {
  const { identifiers, consent, at } = input
  const newPerson = identifiers !== undefined && (state.occurredAt === null || at > state.occurredAt)
  const newConsent = consent !== undefined && isNewer(tenant, state, consent, at)
  if (!newPerson && !newConsent) {
    const older = (identifiers !== undefined && at < (state.occurredAt ?? at)) || (consent !== undefined && at < (state.consentAt ?? at))
    return older ? 'stale' : undefined
  }
  const nextConsent = newConsent ? consent : state.consent
  const times = { occurredAt: newPerson ? at : state.occurredAt, consentAt: newConsent ? at : state.consentAt, consent: nextConsent }
  if (newPerson) {
    const seen = assess(tenant, identifiers, input.value, nextConsent)
    return changeOf(state, { ...state, ...times, ...seen, value: input.value ?? null, identifiers: sealIdentifiers(dek, tenant.id, state.no, identifiers) })
  }
  const { purposes } = permission(nextConsent, state.country ?? undefined, tenant.defaultCountry)
  const present = state.present | groupBit('consent')
  return changeOf(state, { ...state, ...times, ...withConsent(tenant.hmac, state.groups, state.fingerprints, nextConsent), present, purposes })
}

function isNewer(tenant: Tenant, state: CustomerState, consent: Consent, at: number): boolean {
  if (state.consentAt === null || at > state.consentAt) return true
  return at === state.consentAt && (state.purposes & ~permission(consent, state.country ?? undefined, tenant.defaultCountry).purposes) !== 0
}

const changeOf = (before: CustomerState, after: CustomerState): CustomerState => ({
  ...after,
  feedChanged: before.feedChanged || before.purposes !== after.purposes || before.groups !== after.groups || !before.fingerprints.equals(after.fingerprints),
})

/** The reason that weighs most among the purposes lost. */
function reasonOf(lost: number, state: CustomerState, tenant: Tenant): Loss['reason'] {
  const given = permission(state.consent, state.country ?? undefined, tenant.defaultCountry)
  const first: Purpose = lost & purposeBit('ads_ldu') ? 'ads_ldu' : lost & purposeBit('ads') ? 'ads' : 'crm'
  return suppression(given, first) ?? 'consent_denied'
}
