import { purposeBit } from '@audience-sync/contracts/people'
import { describe, expect, test } from '@jest/globals'
import { permission, suppression } from './consent.ts'
import type { Person } from './contract.ts'

const granted: NonNullable<Person['consent']> = { adUserData: 'granted', adPersonalization: 'granted', crm: 'unspecified', saleShareOptOut: false }

const ads = (consent: Person['consent'], country?: string, home?: string) => suppression(permission(consent, country, home), 'ads')

describe('consent', () => {
  test('who granted both is sent everywhere', () => {
    expect(permission(granted, 'DE')).toEqual({ purposes: purposeBit('ads') | purposeBit('ads_ldu') | purposeBit('crm'), adsReason: null, crmReason: null })
  })
  test('one denial is enough', () => {
    expect(ads({ ...granted, adUserData: 'denied' })).toBe('consent_denied')
    expect(ads({ ...granted, adPersonalization: 'denied' })).toBe('consent_denied')
  })
  test('silence is a no in the EEA and the United Kingdom, by the person’s country, else by the tenant’s', () => {
    expect(ads(undefined, 'France')).toBe('consent_denied')
    expect(ads(undefined, 'UK')).toBe('consent_denied')
    expect(ads({ ...granted, adPersonalization: 'unspecified' }, undefined, 'de')).toBe('consent_denied')
    expect(ads(undefined, 'US', 'DE')).toBeNull()
    expect(ads(undefined)).toBeNull()
  })
  test('who opted out of sale and sharing is sent flagged for limited data use only', () => {
    const given = permission({ ...granted, saleShareOptOut: true }, 'US')
    expect(suppression(given, 'ads')).toBe('opted_out')
    expect(suppression(given, 'ads_ldu')).toBeNull()
  })
  test('a denial is not healed by limited data use', () => {
    expect(suppression(permission({ ...granted, adUserData: 'denied', saleShareOptOut: true }), 'ads_ldu')).toBe('consent_denied')
  })
  test('ads say nothing about the CRM, and the CRM nothing about ads', () => {
    const noAds = permission({ ...granted, adUserData: 'denied' })
    expect(suppression(noAds, 'crm')).toBeNull()
    const noCrm = permission({ ...granted, crm: 'denied' })
    expect(suppression(noCrm, 'crm')).toBe('opted_out')
    expect(suppression(noCrm, 'ads')).toBeNull()
  })
})
