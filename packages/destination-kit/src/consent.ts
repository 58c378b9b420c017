/** For what a person may be sent (API.md «Consent»). Pure; ingest, fetch and preview must agree, so there is one of it. */
import { purposeBit, type SuppressionReason } from '@audience-sync/contracts/people'
import type { Person, Purpose } from './contract.ts'
import { country as countryCode } from './normalise/country.ts'

/** Where silence is not consent: the European Economic Area, with those of its parts that have a code of their own, and the United Kingdom. */
const silenceIsNo = new Set('at be bg hr cy cz dk ee fi fr de gr hu ie it lv lt lu mt nl pl pt ro sk si es se is li no gb ax gf gp mf mq re yt'.split(' '))

export interface Permission {
  /** Bits of `purposeBit`. */
  readonly purposes: number
  /** Why ads are not among them; null when they are. */
  readonly adsReason: SuppressionReason | null
  /** Why the CRM is not among them; null when it is. */
  readonly crmReason: SuppressionReason | null
}

/** `country`: as the person gave it; `defaultCountry`: the tenant's. Neither: outside the EEA and the UK. */
export function permission(consent: Person['consent'], country?: string, defaultCountry?: string): Permission {
  const crmReason = consent?.crm === 'denied' ? ('opted_out' as const) : null
  const crm = crmReason === null ? purposeBit('crm') : 0
  const signals = [consent?.adUserData ?? 'unspecified', consent?.adPersonalization ?? 'unspecified']
  const home = (country === undefined ? null : countryCode(country)) ?? (defaultCountry === undefined ? null : countryCode(defaultCountry))
  const silent = signals.includes('unspecified') && home !== null && silenceIsNo.has(home)
  if (signals.includes('denied') || silent) return { purposes: crm, adsReason: 'consent_denied', crmReason }
  if (consent?.saleShareOptOut) return { purposes: crm | purposeBit('ads_ldu'), adsReason: 'opted_out', crmReason }
  return { purposes: crm | purposeBit('ads') | purposeBit('ads_ldu'), adsReason: null, crmReason }
}

/** Why this person may not be sent for `purpose`; null: they may. */
export function suppression(given: Permission, purpose: Purpose): SuppressionReason | null {
  if (given.purposes & purposeBit(purpose)) return null
  return (purpose === 'crm' ? given.crmReason : given.adsReason) ?? 'consent_denied'
}
