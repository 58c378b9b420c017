/** vendors/meta.md §1.1, line by line: which limits there are, and which of them an answer says to be used up. */
import type { IdentifierChoice } from '@audience-sync/destination-kit/contract'
import { describe, expect, test } from '@jest/globals'
import { type Alarm, failureOf } from './failure.ts'
import { metaManifest } from './manifest.ts'
import { currentVersion } from './versions.ts'

const quotas = new Map(metaManifest(currentVersion).quotas.map((quota) => [quota.id, quota]))
const alarms: Alarm[] = []
const read = (code: number, subcode?: number, headers: Record<string, string> = {}) => {
  alarms.length = 0
  const body = { error: { code, error_subcode: subcode, message: 'no' } }
  const answer = { status: 400, headers, body: Buffer.from(''), json: () => body, durationMs: 1, date: null }
  return failureOf(answer as never, { upload: true, accountExternalId: '1', accessToken: 't' }, (alarm) => alarms.push(alarm))
}

describe('what Meta forgets', () => {
  const { renewAfterDays, settings } = metaManifest(currentVersion)
  test.each<[object, IdentifierChoice[], number | null]>([
    [{}, ['email', 'phone'], null],
    [{ retentionDays: 30 }, ['email'], 20],
    // Which EXTERN_ID is whose is kept for 90 days (§1): after that a removal by it alone would find nobody.
    [{}, ['email', 'externalId'], 60],
    [{ retentionDays: 30 }, ['externalId'], 20],
    [{ retentionDays: 180 }, ['externalId'], 60],
  ])('with %j and %j is said again after %s days', (given, identifiers, days) => {
    expect(renewAfterDays?.(settings.parse(given), identifiers)).toBe(days)
  })
})

describe('the limits', () => {
  test('API-level score: read 1, write 3, of 60 or 9,000 points that fall over 300 s; an unnamed tier is the smaller', () => {
    expect(quotas.get('api_score')).toEqual({
      id: 'api_score',
      scope: 'account',
      cost: { read: 1, write: 3 },
      capacity: { '': 60, development_access: 60, standard_access: 9_000 },
      decaySeconds: 300,
    })
  })

  test('business use case custom_audience: 5,000 or 190,000 an hour, 40 more for each active audience, 700,000 at most', () => {
    expect(quotas.get('custom_audience')).toMatchObject({
      scope: 'account',
      cost: { read: 1, write: 1 },
      capacity: { '': 5_000, development_access: 5_000, standard_access: 190_000 },
      decaySeconds: 3_600,
      perAudience: { points: 40, most: 700_000 },
    })
  })

  test.each([
    ['ads_management', 'account'],
    ['app', 'installation'],
  ])('%s is counted by Meta alone, in percent, and is of the %s', (id, scope) => {
    expect(quotas.get(id)).toMatchObject({ scope, cost: { read: 0, write: 0 }, capacity: { '': 100 } })
  })
})

describe('a throttled answer', () => {
  test.each([
    [17, 2446079, undefined],
    [613, 1487742, undefined],
    [17, undefined, undefined],
    [80003, undefined, 'custom_audience'],
    [80004, undefined, 'ads_management'],
    [4, undefined, 'app'],
    [4, 1504022, 'app'],
    [341, undefined, 'app'],
  ])('%s/%s names the limit that is used up: %s (none: the account’s score)', (code, subcode, quota) => {
    expect(read(code, subcode)).toMatchObject({ kind: 'throttled', code: 'platform_throttled' })
    expect(read(code, subcode)?.quota).toBe(quota)
    expect(alarms).toEqual([])
    if (quota) expect(quotas.has(quota)).toBe(true)
    else expect([...quotas.keys()][0]).toBe('api_score')
  })

  test.each([undefined, 1996])('613/%s is abnormal traffic: a quarter of an hour at least, whatever the headers say, and an alarm', (subcode) => {
    const headers = { 'x-ad-account-usage': '{"acc_id_util_pct":100,"reset_time_duration":10}' }
    expect(read(613, subcode, headers)).toMatchObject({ kind: 'throttled', retryAfterMs: 900_000 })
    expect(alarms).toEqual([{ kind: 'abnormal_traffic', detail: subcode ? `613/${subcode}` : '613' }])
  })

  test('the score without a time blocks for 300 s, with one as long as it says', () => {
    expect(read(17, 2446079)).toMatchObject({ retryAfterMs: 300_000 })
    expect(read(17, 2446079, { 'x-ad-account-usage': '{"acc_id_util_pct":100,"reset_time_duration":60}' })).toMatchObject({ retryAfterMs: 60_000 })
  })
})
