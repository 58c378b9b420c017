import { describe, expect, test } from '@jest/globals'
import { readUsage } from './usage.ts'

describe('quota headers', () => {
  test('the use case’s highest of three counts, with its minutes until calls are taken again', () => {
    const header = {
      '5': [
        { type: 'custom_audience', call_count: 32, total_cputime: 3, total_time: 41, estimated_time_to_regain_access: 0 },
        { type: 'ads_management', call_count: 101, estimated_time_to_regain_access: 2, ads_api_access_tier: 'development_access' },
      ],
      '6': [{ call_count: 1 }, 'x'],
      '7': 'x',
    }
    expect(readUsage({ 'x-business-use-case-usage': JSON.stringify(header) })).toEqual({
      usages: [
        // Only entries on ads name the tier, which is one for all (vendors/meta.md §1.1).
        { quota: 'custom_audience', percent: 41, tier: 'development_access' },
        { quota: 'ads_management', percent: 101, regainAfterMs: 120_000, tier: 'development_access' },
        { quota: 'unnamed', percent: 1 },
      ],
      regainAfterMs: 120_000,
    })
  })

  test('the account’s score names seconds always; they count only when the score is used up', () => {
    const read = (percent: number) =>
      readUsage({ 'x-ad-account-usage': JSON.stringify({ acc_id_util_pct: percent, reset_time_duration: 100, ads_api_access_tier: 'standard_access' }) })
    expect(read(9.67)).toEqual({ usages: [{ quota: 'api_score', percent: 9.67, tier: 'standard_access' }], regainAfterMs: undefined })
    expect(read(100).regainAfterMs).toBe(100_000)
  })

  test('the tier that the account’s score names is that of its custom audiences, too, and of nothing else', () => {
    const { usages } = readUsage({
      'x-business-use-case-usage': '{"5":[{"type":"custom_audience","call_count":1},{"type":"pages","call_count":1}]}',
      'x-ad-account-usage': '{"acc_id_util_pct":1,"ads_api_access_tier":"standard_access"}',
    })
    expect(usages.map(({ quota, tier }) => [quota, tier])).toEqual([
      ['custom_audience', 'standard_access'],
      ['pages', undefined],
      ['api_score', 'standard_access'],
    ])
  })

  test('the longest wait counts', () => {
    const { regainAfterMs } = readUsage({
      'x-business-use-case-usage': '{"5":[{"type":"custom_audience","estimated_time_to_regain_access":1}]}',
      'x-ad-account-usage': '{"acc_id_util_pct":120,"reset_time_duration":300}',
    })
    expect(regainAfterMs).toBe(300_000)
  })

  test('the app’s usage is reported', () => {
    expect(readUsage({ 'x-app-usage': '{"call_count":5,"total_cputime":0,"total_time":1}' }).usages).toEqual([{ quota: 'app', percent: 5 }])
  })

  test.each(['{', '[]', '1', ''])('a header that says %j says nothing', (value) => {
    expect(readUsage({ 'x-ad-account-usage': value, 'x-app-usage': value, 'x-business-use-case-usage': value })).toEqual({
      usages: [],
      regainAfterMs: undefined,
    })
    expect(readUsage({ 'x-ad-account-usage': '{}' }).usages).toEqual([{ quota: 'api_score', percent: 0 }])
  })
})
