/** Consent as the customer table holds it: small numbers, never renumbered. Judging it is `permission` of the destination kit. */
import type { Consent, ConsentState } from '@audience-sync/contracts/people'

/** Of somebody who has said nothing. */
export const NO_CONSENT: Consent = { adUserData: 'unspecified', adPersonalization: 'unspecified', crm: 'unspecified', saleShareOptOut: false }

const states: readonly ConsentState[] = ['unspecified', 'granted', 'denied']

export const stateNumber = (state: ConsentState): number => states.indexOf(state)

const stateOf = (number: number): ConsentState => states[number] ?? 'unspecified'

export interface ConsentColumns {
  readonly ad_user_data: number
  readonly ad_personalization: number
  readonly crm: number
  readonly sale_share_opt_out: boolean
}

export const consentOf = (row: ConsentColumns): Consent => ({
  adUserData: stateOf(row.ad_user_data),
  adPersonalization: stateOf(row.ad_personalization),
  crm: stateOf(row.crm),
  saleShareOptOut: row.sale_share_opt_out,
})
