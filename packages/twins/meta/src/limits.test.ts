import { describe, expect, test } from '@jest/globals'
import { type Charge, createLimiter } from './limits.ts'

const charge: Charge = { accountId: '1', businessId: '9', tier: 'development_access', write: true, audience: true, activeAudiences: 0 }
const usage = (headers: Record<string, string>) => ({
  business: JSON.parse(headers['x-business-use-case-usage'] ?? '')['9'].find(({ type }: { type: string }) => type === 'custom_audience'),
  account: JSON.parse(headers['x-ad-account-usage'] ?? ''),
})

describe('limiter', () => {
  test('the Limited tier takes twenty writes in five minutes and then blocks for five minutes', () => {
    const limiter = createLimiter()
    for (let call = 0; call < 20; call++) expect(limiter.charge(0, charge).refusal).toBeUndefined()
    const { refusal, headers } = limiter.charge(0, charge)
    expect(refusal?.body).toMatchObject({ code: 17, error_subcode: 2446079 })
    expect(usage(headers).account).toEqual({ acc_id_util_pct: 100, reset_time_duration: 300, ads_api_access_tier: 'development_access' })
    expect(limiter.charge(300_001, charge).refusal).toBeUndefined()
  })

  test('calling during a block starts the block anew', () => {
    const limiter = createLimiter({ score: 3, blockMs: 60_000 })
    limiter.charge(0, charge)
    expect(limiter.charge(0, charge).refusal).toBeDefined()
    expect(limiter.charge(59_000, charge).refusal).toBeDefined()
    expect(limiter.charge(61_000, charge).refusal).toBeDefined()
    expect(limiter.charge(121_001, charge).refusal).toBeUndefined()
  })

  test('a read costs a third of a write and points fade after five minutes', () => {
    const limiter = createLimiter()
    for (let call = 0; call < 60; call++) expect(limiter.charge(0, { ...charge, write: false }).refusal).toBeUndefined()
    expect(limiter.score(0, '1')).toBe(60)
    expect(limiter.score(301_000, '1')).toBe(0)
  })

  test('the hourly calls on audiences end with 80003 and minutes to wait; each active audience adds 40', () => {
    const limiter = createLimiter({ score: 1_000_000, audienceCallsPerHour: 2 })
    limiter.charge(0, charge)
    limiter.charge(30 * 60_000, charge)
    const { refusal, headers } = limiter.charge(30 * 60_000, charge)
    expect(refusal?.body.code).toBe(80003)
    expect(usage(headers).business).toMatchObject({ type: 'custom_audience', call_count: 150, estimated_time_to_regain_access: 30 })
    expect(limiter.charge(30 * 60_000, { ...charge, activeAudiences: 1 }).refusal).toBeUndefined()
    expect(limiter.charge(31 * 60_000, { ...charge, accountId: '2' }).refusal).toBeUndefined()
  })
  test('calls made beyond the hourly limit push back the time when there is room again', () => {
    const limiter = createLimiter({ score: 1_000_000, audienceCallsPerHour: 2 })
    for (const minute of [0, 10, 20]) limiter.charge(minute * 60_000, charge)
    const regain = (minute: number) => usage(limiter.charge(minute * 60_000, charge).headers).business.estimated_time_to_regain_access
    expect(regain(30)).toBe(40)
    expect(regain(40)).toBe(40)
  })

  test('any of the three percentages throttles at 100', () => {
    const limiter = createLimiter()
    expect(limiter.charge(0, { ...charge, cpuPercent: 99, timePercent: 99 }).refusal).toBeUndefined()
    const { refusal, headers } = limiter.charge(0, { ...charge, timePercent: 100 })
    expect(refusal?.body.code).toBe(80003)
    expect(usage(headers).business).toMatchObject({ total_cputime: 0, total_time: 100, estimated_time_to_regain_access: 5 })
  })

  test('several use cases stand in one header, and only those on ads name the tier', () => {
    const { headers } = createLimiter().charge(0, charge)
    const all = JSON.parse(headers['x-business-use-case-usage'] ?? '')['9'] as { type: string; ads_api_access_tier?: string }[]
    expect(all.map(({ type, ads_api_access_tier: tier }) => [type, tier])).toEqual([
      ['ads_management', 'development_access'],
      ['custom_audience', undefined],
    ])
  })
})
