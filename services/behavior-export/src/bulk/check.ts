/**
 * One line of a bulk door, checked. A hand-written look accepts what is plainly right, at a fifth of the schema's cost
 * (PERFORMANCE.md §5); whatever it does not accept goes to the schema, which decides and explains. So the schema is the
 * only rule: the quick look may be too strict, never too lenient (a test holds it to that).
 */
import type { Consent, Identifiers } from '@audience-sync/contracts/people'
import { CustomerRecord, MembershipChange } from '@audience-sync/contracts/rest/behaviors'
import type { Code } from '@audience-sync/errors/catalogue'
import { regexes, type z } from 'zod'
import { NO_CONSENT } from '../people/consent.ts'

export type Checked<T> = { readonly value: T } | { readonly code: Code; readonly detail: string }

const AHEAD_MS = 5 * 60_000 // API.md: clocks of other systems
const ISO = regexes.datetime({ offset: true })
const LONGEST_ID = 256
const LONGEST_TIME = 64

/** At most so many characters of each identifier, as the schema says. */
const LONGEST: Readonly<Record<string, number>> = {
  email: 320,
  phone: 64,
  firstName: 128,
  lastName: 128,
  gender: 16,
  birthDate: 64,
  city: 128,
  region: 128,
  postalCode: 64,
  country: 64,
  mobileAdId: 64,
  externalId: 256,
}

type Unknown = Record<string, unknown>

const isId = (value: unknown): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= LONGEST_ID && value.isWellFormed() && !value.includes('\u0000')
const isTime = (value: unknown): value is string => typeof value === 'string' && value.length <= LONGEST_TIME && ISO.test(value)
const isState = (value: unknown): value is Consent['crm'] => value === 'granted' || value === 'denied' || value === 'unspecified'
const isObject = (value: unknown): value is Unknown => typeof value === 'object' && value !== null && !Array.isArray(value)

export function quickMembership(value: unknown): MembershipChange | undefined {
  if (!isObject(value)) return undefined
  const { customerId, member, occurredAt, ...others } = value
  if (!isId(customerId) || typeof member !== 'boolean' || !isTime(occurredAt)) return undefined
  for (const _ in others) return undefined
  return { customerId, member, occurredAt }
}

export function quickCustomer(value: unknown): CustomerRecord | undefined {
  if (!isObject(value)) return undefined
  const { customerId, identifiers, consent, value: worth, occurredAt, ...others } = value
  if (!isId(customerId) || !isTime(occurredAt)) return undefined
  for (const _ in others) return undefined
  if (worth !== undefined && (typeof worth !== 'number' || !Number.isFinite(worth))) return undefined
  if (identifiers !== undefined && !areIdentifiers(identifiers)) return undefined
  const said = consent === undefined ? undefined : quickConsent(consent)
  if (consent !== undefined && !said) return undefined
  return {
    customerId,
    occurredAt,
    ...(identifiers !== undefined && { identifiers: identifiers as Identifiers }),
    ...(said && { consent: said }),
    ...(worth !== undefined && { value: worth }),
  }
}

function areIdentifiers(value: unknown): boolean {
  if (!isObject(value)) return false
  for (const [field, one] of Object.entries(value)) {
    const longest = Object.hasOwn(LONGEST, field) ? LONGEST[field] : undefined
    if (longest === undefined || typeof one !== 'string' || one.length > longest) return false // `emails` too: rare enough for the schema
  }
  return true
}

function quickConsent(value: unknown): Consent | undefined {
  if (!isObject(value)) return undefined
  const { adUserData, adPersonalization, crm, saleShareOptOut, ...others } = { ...NO_CONSENT, ...value }
  for (const _ in others) return undefined
  return isState(adUserData) && isState(adPersonalization) && isState(crm) && typeof saleShareOptOut === 'boolean'
    ? { adUserData, adPersonalization, crm, saleShareOptOut }
    : undefined
}

/** With the time in milliseconds. */
export type Timed<T> = T & { readonly at: number }

export const checkMembership = (value: unknown, now: number): Checked<Timed<MembershipChange>> => timed(quickMembership(value), MembershipChange, value, now)

export function checkCustomer(value: unknown, now: number): Checked<Timed<CustomerRecord>> {
  const checked = timed(quickCustomer(value), CustomerRecord, value, now)
  if ('code' in checked) return checked
  const { identifiers, consent } = checked.value
  if (
    identifiers
      ? Object.values(identifiers)
          .flat()
          .some((one) => one?.trim())
      : consent
  )
    return checked
  return { code: 'customer_empty', detail: 'The customer has no identifier.' }
}

function timed<T extends { occurredAt: string }>(quick: T | undefined, schema: z.ZodType<T>, value: unknown, now: number): Checked<Timed<T>> {
  const slow = quick ? undefined : schema.safeParse(value)
  if (slow && !slow.success) {
    const { path = [], message = 'is not valid' } = slow.error.issues[0] ?? {}
    return { code: 'line_malformed', detail: path.length > 0 ? `${path.join('.')}: ${message}` : message } // paths and rules, never values
  }
  const line = (quick ?? slow?.data) as T
  const at = Date.parse(line.occurredAt)
  if (Number.isNaN(at)) return { code: 'line_malformed', detail: 'occurredAt: is no date' }
  if (at > now + AHEAD_MS) return { code: 'occurred_at_in_future', detail: 'occurredAt is more than 5 minutes ahead.' }
  return { value: { ...line, at } }
}
