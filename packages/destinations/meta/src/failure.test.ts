/** The error table of vendors/meta.md §2, row by row: code, subcode → what the engine does, our code, and how long to wait. */
import type { FailureKind } from '@audience-sync/destination-kit/failure'
import { type Code, catalogue } from '@audience-sync/errors/catalogue'
import { HttpFailure } from '@audience-sync/http/failure'
import { describe, expect, test } from '@jest/globals'
import { answerOf, graphError } from '../test/fake-graph.ts'
import { errorTable, platformCodes } from './error-table.ts'
import { type Alarm, failureOf, failureOfSilence } from './failure.ts'
import { troubleshooting } from './troubleshooting.ts'

const upload = { upload: true, accountExternalId: '77', accessToken: 'EAABsecrettoken' }
const alarms: Alarm[] = []
const read = (answer: Parameters<typeof answerOf>[0], call = upload) => failureOf(answerOf(answer), call, (alarm) => alarms.push(alarm))

const minute = 60_000
const rows: readonly (readonly [number, number | undefined, FailureKind, Code, number?])[] = [
  [1, undefined, 'unavailable', 'destination_unavailable'],
  [1, 99, 'unavailable', 'destination_unavailable'],
  [2, undefined, 'unavailable', 'destination_unavailable'],
  [5000, undefined, 'unavailable', 'destination_unavailable'],
  [21009, undefined, 'unavailable', 'destination_unavailable'],
  [803, undefined, 'unavailable', 'destination_unavailable', minute / 2],
  [4, undefined, 'throttled', 'platform_throttled'],
  [4, 1504022, 'throttled', 'platform_throttled'],
  [4, 1504039, 'throttled', 'platform_throttled'],
  [17, undefined, 'throttled', 'platform_throttled'],
  [17, 2446079, 'throttled', 'platform_throttled', 5 * minute],
  [32, undefined, 'throttled', 'platform_throttled'],
  [341, undefined, 'throttled', 'platform_throttled'],
  [613, 1487742, 'throttled', 'platform_throttled', 5 * minute],
  [613, 5044001, 'throttled', 'platform_throttled'],
  [613, undefined, 'throttled', 'platform_throttled', 15 * minute],
  [613, 1996, 'throttled', 'platform_throttled', 15 * minute],
  [80000, undefined, 'throttled', 'platform_throttled'],
  [80001, undefined, 'throttled', 'platform_throttled'],
  [80003, undefined, 'throttled', 'platform_throttled'],
  [80004, undefined, 'throttled', 'platform_throttled'],
  [80005, undefined, 'throttled', 'platform_throttled'],
  [80009, 2446079, 'throttled', 'platform_throttled', 5 * minute],
  [80014, undefined, 'throttled', 'platform_throttled'],
  [368, undefined, 'blocked', 'platform_blocked', 120 * minute],
  [1404078, undefined, 'blocked', 'platform_blocked', 120 * minute],
  [368, 1404078, 'blocked', 'platform_blocked', 120 * minute],
  [2859015, undefined, 'blocked', 'platform_blocked', 120 * minute],
  [1404163, undefined, 'permission', 'advertiser_banned'],
  [190, undefined, 'auth', 'connection_expired'],
  [190, 458, 'auth', 'connection_revoked'],
  [190, 459, 'auth', 'connection_expired'],
  [190, 460, 'auth', 'connection_expired'],
  [190, 463, 'auth', 'connection_expired'],
  [190, 464, 'auth', 'connection_expired'],
  [190, 467, 'auth', 'connection_expired'],
  [190, 492, 'auth', 'connection_expired'],
  [102, undefined, 'auth', 'connection_expired'],
  [104, undefined, 'auth', 'connection_expired'],
  [3, undefined, 'permission', 'permission_denied'],
  [10, undefined, 'permission', 'permission_denied'],
  [200, undefined, 'permission', 'permission_denied'],
  [270, undefined, 'permission', 'permission_denied'],
  [294, undefined, 'permission', 'permission_denied'],
  [299, undefined, 'permission', 'permission_denied'],
  [200, 1870050, 'permission', 'permission_denied'],
  [2654, undefined, 'permission', 'permission_denied'],
  [2654, 1713092, 'permission', 'permission_denied'],
  [100, 33, 'permission', 'permission_denied'],
  [200, 1870034, 'terms', 'terms_not_signed'],
  [200, 1870090, 'terms', 'terms_not_signed'],
  [1870090, undefined, 'terms', 'terms_not_signed'],
  [2663, undefined, 'terms', 'terms_not_signed'],
  [2664, undefined, 'terms', 'terms_not_signed'],
  [1870092, undefined, 'terms', 'platform_terms_not_signed'],
  [2655, undefined, 'terms', 'platform_terms_not_signed'],
  [200, 1870047, 'too_small', 'removal_refused'],
  [100, undefined, 'rows', 'platform_rejected_row'],
  [100, 1713230, 'integrity', 'audience_flagged'],
  [100, 1713231, 'integrity', 'audience_flagged'],
  [100, 1713228, 'integrity', 'audience_flagged'],
  [100, 1713232, 'integrity', 'audience_flagged'],
  [100, 1713098, 'invalid', 'platform_invalid_request'],
  [100, 1752129, 'invalid', 'platform_invalid_request'],
  [100, 1487534, 'invalid', 'platform_invalid_request'],
  [105, undefined, 'invalid', 'platform_invalid_request'],
  [194, undefined, 'invalid', 'platform_invalid_request'],
  [2500, undefined, 'invalid', 'platform_invalid_request'],
  [3018, undefined, 'invalid', 'platform_invalid_request'],
  [2650, undefined, 'invalid', 'audience_update_refused'],
  [2650, 1870147, 'invalid', 'platform_invalid_request'],
  [2650, 1870158, 'invalid', 'platform_invalid_request'],
  [2650, 1870159, 'invalid', 'replacement_finished'],
  [2650, 1870144, 'invalid', 'platform_invalid_request'],
  [2650, 1870148, 'unavailable', 'destination_unavailable'],
  [2650, 1870145, 'busy', 'platform_busy', minute],
  [2654, 1713007, 'invalid', 'lookalike_duplicate'],
  [2656, undefined, 'invalid', 'lookalikes_exist'],
  [1870065, undefined, 'gone', 'audience_disabled'],
  [1487301, undefined, 'gone', 'audience_not_shared'],
  [1487366, undefined, 'gone', 'audience_missing'],
  [2635, undefined, 'invalid', 'platform_version_dead'],
]

describe('errors of Meta', () => {
  test.each(rows.map(([code, subcode, kind, ours, waitMs]) => ({ code, subcode, kind, ours, waitMs })))(
    '$code/$subcode is $kind, $ours',
    ({ code, subcode, kind, ours, waitMs }) => {
      const failure = read(graphError(code, subcode))
      expect(failure).toMatchObject({ kind, code: ours, platform: { code: subcode ? `${code}/${subcode}` : `${code}`, message: 'why', requestId: 'trace' } })
      expect(failure?.retryAfterMs).toBe(waitMs)
    },
  )

  test('every row of the table stands above', () => {
    const tested = new Set(rows.flatMap(([code, subcode]) => [`${code}/${subcode ?? '-'}`, `${code}${subcode ? `/${subcode}` : ''}`]))
    const missing = errorTable.flatMap(({ when }) => when).filter((entry) => !tested.has(entry) && !/^\d+-\d+$/.test(entry))
    expect(missing).toEqual([])
  })

  test('unsigned terms come with the link where the account’s owner signs', () => {
    expect(read(graphError(200, 1870034))?.link).toBe('https://business.facebook.com/ads/manage/customaudiences/tos/?act=77')
    expect(read(graphError(2655))?.link).toBeUndefined()
  })

  test('a negative code is internal: its subcode decides, and without a known one it is tried again', () => {
    expect(read(graphError(-3, 1870034))?.kind).toBe('terms')
    expect(read(graphError(-3))?.kind).toBe('unavailable')
  })

  test('a code that nobody described is tried again and raises an alarm, never a success', () => {
    alarms.length = 0
    expect(read(graphError(98765, 4))).toMatchObject({ kind: 'unavailable', code: 'destination_unavailable', platform: { code: '98765/4' } })
    expect(read({ status: 400, body: { error: { message: 'x' } } })).toMatchObject({ kind: 'unavailable', platform: { code: 'none' } })
    expect(alarms).toEqual([
      { kind: 'unknown_error_code', detail: '98765/4' },
      { kind: 'unknown_error_code', detail: 'none' },
    ])
  })

  test('an error in an answer with status 200 is an error', () => {
    expect(read({ ...graphError(190), status: 200 })?.kind).toBe('auth')
  })

  test('an invalid parameter is a row’s fault only on an upload, and only if no other parameter is blamed', () => {
    expect(read(graphError(100), { ...upload, upload: false })?.kind).toBe('invalid')
    const blaming = (data: unknown) => read(graphError(100, undefined, { error_data: data }))
    expect(blaming({ blame_field_specs: [['payload', 'data']] })?.kind).toBe('rows')
    expect(blaming(JSON.stringify({ blame_field_specs: [['session', 'session_id'], 'x'] }))).toMatchObject({
      kind: 'invalid',
      message: 'Meta answered 100: why (session.session_id, x)',
    })
    expect(blaming('{')?.kind).toBe('rows')
  })

  test('title and text for people are shown together, or the one that is there', () => {
    const said = (more: object) => read(graphError(200, 1870034, more))?.platform?.message
    expect(said({ error_user_title: 'Terms', error_user_msg: 'Sign them.' })).toBe('Terms: Sign them.')
    expect(said({ error_user_title: 'Terms' })).toBe('Terms')
    expect(said({ error_user_msg: 'Sign them.' })).toBe('Sign them.')
  })

  test('what Meta says to users goes before what it says to programs; hashes and tokens are cut out of both', () => {
    const hash = 'ab'.repeat(32)
    expect(read(graphError(100, undefined, { error_user_msg: `bad ${hash}` }))?.platform?.message).toBe('bad <hash>')
    expect(read(graphError(190, undefined, { message: 'Malformed access token EAABsecrettoken' }))?.platform?.message).toBe('Malformed access token <token>')
    expect(read(graphError(190, undefined, { message: 'for EAAotherToken99' }))?.message).toBe('Meta answered 190: for <token>')
    expect(read(graphError(190, undefined, { message: '' }))?.platform?.message).toBe('Meta gave no reason.')
    expect(read(graphError(190, undefined, { fbtrace_id: undefined }))?.platform).not.toHaveProperty('requestId')
  })

  test('throttled: the headers say how long, in minutes and in seconds', () => {
    const useCase = { '5': [{ type: 'custom_audience', call_count: 100, total_cputime: 3, total_time: 7, estimated_time_to_regain_access: 3 }] }
    const account = { acc_id_util_pct: 100, reset_time_duration: 60, ads_api_access_tier: 'standard_access' }
    const wait = (headers: Record<string, string>, code: number, subcode?: number) => read({ ...graphError(code, subcode), headers })?.retryAfterMs
    expect(wait({ 'x-business-use-case-usage': JSON.stringify(useCase) }, 80003)).toBe(3 * minute)
    expect(wait({ 'x-ad-account-usage': JSON.stringify(account) }, 17, 2446079)).toBe(minute)
    // Abnormal traffic is never tried again sooner than after a quarter of an hour.
    expect(wait({ 'x-ad-account-usage': JSON.stringify(account) }, 613)).toBe(15 * minute)
  })

  test.each([
    [200, '<html>', 'unknown', 'platform_bad_reply'],
    [200, '[]', 'unknown', 'platform_bad_reply'],
    [302, '', 'blocked', 'platform_bad_reply'],
    [404, '<html>', 'unavailable', 'destination_unavailable'],
    [408, '', 'unavailable', 'destination_unavailable'],
    [413, '<html>', 'rows', 'payload_too_large'],
    [429, '', 'throttled', 'platform_throttled'],
    [500, '<html>', 'unknown', 'destination_unavailable'],
    [502, '<html>', 'unknown', 'destination_unavailable'],
    [503, '{}', 'unavailable', 'destination_unavailable'],
  ] as const)('status %s with %j is %s, %s', (status, text, kind, code) => {
    expect(read({ status, text })).toMatchObject({ kind, code })
  })

  test('a redirect raises an alarm: somebody stands between us and Meta (RELIABILITY.md §2b)', () => {
    alarms.length = 0
    read({ status: 302, text: '' })
    expect(alarms).toEqual([{ kind: 'redirect', detail: 'http_302' }])
  })

  test('a success is none', () => expect(read({ body: { num_received: 1 } })).toBeUndefined())

  test('without an answer only one question counts: can it have been done', () => {
    const silence = (phase: HttpFailure['phase']) => failureOfSilence(new HttpFailure(phase, 'm'))
    expect(silence('not_sent')).toEqual({ kind: 'unavailable', code: 'destination_unavailable', message: 'm' })
    expect(silence('breaker_open')).toMatchObject({ kind: 'unavailable', retryAfterMs: 30_000 })
    expect(silence('sent').kind).toBe('unknown')
    expect(silence('aborted').kind).toBe('unknown')
  })
})

describe('the table as people see it', () => {
  test('every platform code stands under a code of the catalogue, with a title and a solution', () => {
    const shown = new Map(platformCodes().flatMap(({ code, platform }) => platform.map((each) => [`${code} ${each}`, catalogue[code]] as const)))
    for (const { when, code } of errorTable) for (const each of when) expect(shown.has(`${code} ${each}`)).toBe(true)
    expect([...shown.keys()]).toEqual(expect.arrayContaining(['terms_not_signed 200/1870034', 'permission_denied 200-299', 'platform_rejected_row 100']))
    for (const { title, solution } of shown.values()) expect([title, solution].every((text) => text.length > 10)).toBe(true)
  })

  test('PRODUCT’s troubleshooting is there, under the codes that callers meet', () => {
    const titles = troubleshooting.map(({ title }) => title)
    expect(titles).toEqual(expect.arrayContaining(['Audience too small', 'Failed to sync', 'Permission denied', 'Audience not appearing in Meta Ads Manager']))
    for (const { codes } of troubleshooting) for (const code of codes) expect(catalogue[code]).toBeDefined()
    for (const { title, codes } of troubleshooting.slice(0, 3)) expect(codes.some((code) => catalogue[code].title.startsWith(title))).toBe(true)
  })
})
