import { describe, expect, test } from '@jest/globals'
import { createMetaDestination } from './destination.ts'
import { currentVersion, refuseDeadVersion, versionLife, zApiVersion } from './versions.ts'

const on = (day: string) => new Date(`${day}T12:00:00Z`)
const stateOf = (version: string, day: string) => versionLife(version, on(day)).state

describe('versions of the Marketing API', () => {
  test.each([
    ['v24.0', '2026-08-06', 'current'],
    ['v24.0', '2026-08-07', 'ending'], // 60 days before
    ['v24.0', '2026-10-05', 'ending'],
    ['v24.0', '2026-10-06', 'expired'],
    ['v26.0', '2026-11-23', 'current'],
    ['v26.0', '2027-06-28', 'current'],
    ['v26.0', '2027-06-29', 'ending'], // eleven months, no end named
    ['v26.0', '2029-01-01', 'ending'], // never declared dead by a guess
    ['v25.0', '2027-01-18', 'ending'],
    ['v20.0', '2026-11-23', 'expired'],
    ['v27.0', '2026-11-23', 'unknown'],
  ])('%s on %s is %s', (version, day, state) => expect(stateOf(version, day)).toBe(state))

  test('says what is known and what is guessed', () => {
    expect(versionLife('v26.0', on('2027-07-01'))).toEqual({
      version: 'v26.0',
      releasedOn: '2026-07-29',
      endsOn: '2027-06-29',
      endIsGuessed: true,
      state: 'ending',
      text: expect.stringMatching(/older than 11 months.*raise META_API_VERSION/),
    })
    expect(versionLife('v24.0', on('2026-09-01'))).toMatchObject({ endsOn: '2026-10-06', endIsGuessed: false, text: expect.stringMatching(/2026-10-06/) })
  })

  test('nothing starts with a version that has ended, or with one older than any that is known', () => {
    for (const version of ['v24.0', 'v19.0']) {
      expect(() => refuseDeadVersion(version, on('2026-11-23'))).toThrow(currentVersion)
      expect(() => createMetaDestination({ baseUrl: 'http://127.0.0.1:9', apiVersion: version })).toThrow(currentVersion)
      expect(zApiVersion.safeParse(version)).toMatchObject({ success: false, error: { issues: [{ message: expect.stringMatching(/v26\.0/) }] } })
    }
    expect(zApiVersion.parse(currentVersion)).toBe(currentVersion)
    expect(zApiVersion.safeParse('26').success).toBe(false)
  })
})
