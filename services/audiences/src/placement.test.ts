/** What is said of the next runs of an account: when they begin and end, and which miss their schedule. */
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import { describe, expect, test } from '@jest/globals'
import { expectedRuns } from './placement.ts'

type Row = Parameters<typeof expectedRuns>[0][number]

const now = new Date('2026-11-23T10:00:00Z')
const MINUTE = 60_000
const points = [{ capacity: 60, decaySeconds: 300, cost: 3, level: 0, spent: [] }]
const row = (no: number, frequency: string, more: Partial<Row> = {}): Row => ({
  no,
  id: newUuid(),
  name: `n${no}`,
  schedule: { frequency, at: '11:00' },
  rests: false,
  isNew: false,
  runId: null,
  status: null,
  trigger: null,
  requestedAt: null,
  notBefore: null,
  gaveWayAt: null,
  rows: 0,
  destinationNo: 1,
  ...more,
})
const live = (agoMs: number, trigger = 'schedule'): Partial<Row> => ({ runId: newUuid(), status: 'queued', trigger, requestedAt: now.getTime() - agoMs })
const expected = (...rows: Row[]) => expectedRuns(rows, { points, waitMs: 0 }, 10_000, now)

describe('the next run', () => {
  test('of a schedule begins at its slot, and has until the next; a manual audience, a paused one and one that waits for somebody have none', () => {
    const none = { startsAt: null, endsAt: null, dueBy: null, atRisk: false, runId: null, status: null }
    expect(expected(row(1, 'daily'), row(2, 'manual'), row(3, 'daily', { rests: true }), row(4, 'daily', { ...live(MINUTE), notBefore: -1 }))).toMatchObject([
      { startsAt: '2026-11-23T11:00:00.000Z', endsAt: '2026-11-23T11:00:02.000Z', dueBy: '2026-11-24T11:00:00.000Z', atRisk: false, calls: 1 },
      none,
      none,
      none,
    ])
  })

  test('that is open comes with its run; what somebody asked for has no schedule to miss', () => {
    const asked = row(1, 'daily', live(MINUTE, 'api'))
    expect(expected(asked)).toEqual([
      {
        audienceId: publicId('audience', asked.id),
        name: 'n1',
        runId: publicId('run', asked.runId ?? ''),
        status: 'queued',
        calls: 1,
        startsAt: now.toISOString(),
        endsAt: '2026-11-23T10:00:02.000Z',
        dueBy: null,
        atRisk: false,
      },
    ])
  })

  test('is at risk where the account’s points do not suffice: 100 calls take not quite half an hour; of hourly audiences two such fit, three do not', () => {
    const hourly = (no: number) => row(no, 'hourly', { ...live(0), rows: 1_000_000 })
    expect(expected(hourly(1), hourly(2)).map(({ atRisk }) => atRisk)).toEqual([false, false])
    expect(expected(hourly(1), hourly(2), hourly(3)).filter(({ atRisk }) => atRisk)).not.toHaveLength(0)
  })

  test('of many at one slot begins one after the other: not all in the same minute', () => {
    const starts = expected(...Array.from({ length: 40 }, (_, i) => row(i, 'daily', { rows: 40_000 }))).map(({ startsAt }) => startsAt ?? '')
    const minutes = starts.map((at) => at.slice(0, 16))
    expect(starts[0]).toBe('2026-11-23T11:00:00.000Z')
    expect(Math.max(...[...new Set(minutes)].map((minute) => minutes.filter((one) => one === minute).length))).toBeLessThan(10)
  })
})
