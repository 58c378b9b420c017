/** People for end-to-end tests, what Meta is told of them, and what it was told. */
import { createHash } from 'node:crypto'
import type { CustomerLine, MemberLine } from '@audience-sync/testing/conductor-client'
import type { JournalEntry, Twin } from '@audience-sync/testing/conductor-twin'

export interface Person {
  readonly customerId: string
  readonly email: string
  readonly phone: string
}

const CONSENT = { adUserData: 'granted', adPersonalization: 'granted' }
const FIRST_PHONE = 2_000_000

/** `version` changes the e-mail address, as a person does who moves to another provider. */
export const person = (i: number, version = 0): Person => ({
  customerId: `c${String(i).padStart(6, '0')}`,
  email: version === 0 ? `person${i}@example.com` : `person${i}.v${version}@example.org`,
  phone: `+1415${FIRST_PHONE + i}`,
})

export const people = (from: number, to: number, version = 0): Person[] => Array.from({ length: to - from }, (_, i) => person(from + i, version))

let last = Date.now() - 3_600_000 // each event is later than those before, and none is in the future
export const later = (): string => {
  last += 1
  return new Date(last).toISOString()
}

export const customer = ({ customerId, email, phone }: Person): CustomerLine => ({
  customerId,
  occurredAt: later(),
  identifiers: { email, phone },
  consent: CONSENT,
})
export const optedOut = ({ customerId }: Person): CustomerLine => ({
  customerId,
  occurredAt: later(),
  consent: { adUserData: 'denied', adPersonalization: 'denied' },
})
export const joins = ({ customerId }: Person): MemberLine => ({ customerId, member: true, occurredAt: later() })
export const leaves = ({ customerId }: Person): MemberLine => ({ customerId, member: false, occurredAt: later() })

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
/** Meta's form of them (vendors/meta.md §5): lower case; digits without the plus. */
export const rowOf = ({ email, phone }: Person): string => `${sha256(email)} ${sha256(phone.slice(1))}`
export const rowsOf = (some: readonly Person[]): string[] => some.map(rowOf).sort()

/** Who is in the audience at the twin, everything accepted being applied. */
export async function farRows(twin: Twin, externalId: string): Promise<string[]> {
  await twin.clock(60_000)
  const { members } = await twin.audience(externalId)
  return members.map(({ EMAIL = '', PHONE = '' }) => `${EMAIL} ${PHONE}`).sort()
}

export interface Upload {
  readonly entry: JournalEntry
  readonly operation: 'add' | 'remove'
  readonly schema: readonly string[]
  readonly data: readonly (readonly string[])[]
}

/** The uploads of one audience that the platform took, in order; `from`: later than this entry of the journal. */
export async function uploads(twin: Twin, externalId: string, from = 0): Promise<Upload[]> {
  const journal = await twin.journal(from)
  return journal
    .filter(({ path, status, method }) => path.includes(`/${externalId}/users`) && status === 200 && method !== 'GET')
    .map((entry) => {
      const { payload } = entry.body as { payload: Pick<Upload, 'schema' | 'data'> }
      return { entry, operation: entry.method === 'POST' ? 'add' : 'remove', schema: payload.schema, data: payload.data }
    })
}

export const lastSeq = async (twin: Twin): Promise<number> => (await twin.journal()).at(-1)?.seq ?? 0

/**
 * Calls since, but for those about an audience that is there already: those are of other tests, whose last words are said again, and whose
 * audiences are looked after, whenever that is due.
 */
export async function callsForNewAudiences(twin: Twin, seq: number): Promise<JournalEntry[]> {
  const there = new Set((await twin.state()).audiences.map(({ id }) => id))
  return (await twin.journal(seq)).filter(({ path }) => !there.has(path.split(/[/?]/)[2] ?? ''))
}
