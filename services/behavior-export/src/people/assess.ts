/** What the feed says of a person, found out when they are stored: usable groups, fingerprints, permission. Pure. */
import { type Consent, groupBit, type Identifiers, UNREAD_BIT } from '@audience-sync/contracts/people'
import { permission } from '@audience-sync/destination-kit/consent'
import type { DroppedField } from '@audience-sync/destination-kit/contract'
import { country as countryCode } from '@audience-sync/destination-kit/normalise/country'
import { usableGroups } from '@audience-sync/destination-kit/usable'
import type { Tenant } from '../tenants.ts'
import { fingerprintsOf, presentGroups } from './fingerprint.ts'
import { tagsOf } from './tags.ts'

export interface Assessment {
  /** Bits of `identifierGroups`, and `UNREAD_BIT`. */
  readonly groups: number
  readonly present: number
  readonly fingerprints: Buffer
  readonly unusable: readonly DroppedField[]
  /** Readable country, ISO alpha-2 in lower case. */
  readonly country: string | null
  /** Bits of `purposes`. */
  readonly purposes: number
  /** Of the identifiers that match alone. */
  readonly tags: readonly string[]
}

export function assess(tenant: Tenant, identifiers: Identifiers, value: number | undefined, consent: Consent): Assessment {
  const usable = usableGroups(identifiers, tenant.defaultCountry)
  const person = { identifiers, value, consent, unread: usable.unusable.map(({ field }) => field) }
  const badValue = value !== undefined && value < 0
  const unread = usable.unusable.length > 0 ? UNREAD_BIT : 0
  const groups = usable.groups | unread | groupBit('consent') | (value === undefined || badValue ? 0 : groupBit('value'))
  return {
    groups,
    present: presentGroups(person),
    fingerprints: fingerprintsOf(tenant.hmac, groups, person),
    unusable: badValue ? [...usable.unusable, { field: 'value', code: 'value_malformed' }] : usable.unusable,
    country: identifiers.country === undefined ? null : countryCode(identifiers.country),
    purposes: permission(consent, identifiers.country, tenant.defaultCountry).purposes,
    tags: tagsOf(tenant.hmac, identifiers, tenant.defaultCountry),
  }
}
