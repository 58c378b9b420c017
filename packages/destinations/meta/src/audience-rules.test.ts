import type { AudienceChoice } from '@audience-sync/destination-kit/manifest-contract'
import { describe, expect, test } from '@jest/globals'
import { audienceRules } from './audience-rules.ts'
import { MetaSettings } from './manifest.ts'

const choice = (more: Partial<AudienceChoice<MetaSettings>> = {}): AudienceChoice<MetaSettings> => ({
  purpose: 'targeting',
  settings: MetaSettings.parse({}),
  adopted: false,
  eligible: 500,
  ...more,
})
const valued = MetaSettings.parse({ valueBased: true })
const codes = (more: Partial<AudienceChoice<MetaSettings>>) => audienceRules.notices(choice(more)).map(({ code }) => code)

describe('what Meta takes once', () => {
  test('value-based or not, either way; and exclusion or not, of an audience that we made', () => {
    const fixed = (before: Partial<AudienceChoice<MetaSettings>>, after: Partial<AudienceChoice<MetaSettings>>) =>
      audienceRules.fixedChoices(choice(before), choice(after)).map(({ path }) => path)
    expect(fixed({}, { settings: valued })).toEqual(['settings.valueBased'])
    expect(fixed({ settings: valued }, {})).toEqual(['settings.valueBased'])
    expect(fixed({}, { purpose: 'exclusion' })).toEqual(['purpose'])
    expect(fixed({ adopted: true }, { adopted: true, purpose: 'exclusion' })).toEqual([])
    expect(fixed({}, { purpose: 'seed', settings: MetaSettings.parse({ retentionDays: 9 }) })).toEqual([])
  })
})

describe('what its owner should know', () => {
  test('of targeting nothing; of an exclusion that it cannot be targeted; of an adopted one who else is in it', () => {
    expect(codes({})).toEqual([])
    expect(codes({ purpose: 'exclusion' })).toEqual(['exclusion_only'])
    expect(codes({ adopted: true, purpose: 'exclusion' })).toEqual(['adopted_members_unknown'])
  })
  test('of a seed that it needs 100 people, and that values help', () => {
    expect(codes({ purpose: 'seed', eligible: 99 })).toEqual(['seed_needs_people', 'seed_without_values'])
    expect(codes({ purpose: 'seed', eligible: 100 })).toEqual(['seed_without_values'])
    expect(codes({ purpose: 'seed', eligible: null, settings: valued })).toEqual([])
  })
})

test('values and limited data use make other rows; retention and labels do not', () => {
  const plain = MetaSettings.parse({})
  expect(audienceRules.sameRows(plain, MetaSettings.parse({ retentionDays: 9, labels: ['X'], optOutLink: 'https://example.com' }))).toBe(true)
  expect(audienceRules.sameRows(plain, valued)).toBe(false)
  expect(audienceRules.sameRows(plain, MetaSettings.parse({ limitedDataUse: true }))).toBe(false)
})
