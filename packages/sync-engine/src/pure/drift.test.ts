import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type Drift, type Here, lookedAt, type Shown } from './drift.ts'

const now = new Date('2026-11-23T03:00:00Z')
const yesterday = new Date('2026-11-22T03:00:00Z')
const days = (n: number) => new Date(now.getTime() + n * 86_400_000)
const far = (fields: Partial<Shown> = {}): Shown => ({ name: 'Comfort Seekers', size: 8_000, state: 'ready', detail: 'said there', expiresAt: null, ...fields })
const here = (fields: Partial<Here> = {}): Here => ({
  name: 'Comfort Seekers',
  stale: false,
  adopted: false,
  policy: { renamed: 'report', size: 'report' },
  ledger: 10_000,
  ...fields,
})
const codes = (drift: Drift) => drift.findings.map(({ code }) => code)
const sound = (there: number, ledger: number): Drift => ({ checkedAt: yesterday.toISOString(), findings: [], sound: { there, ledger } })

describe('what a look at the far side finds', () => {
  test.each<[string, string[], Partial<Shown>, Partial<Here>, Drift | null]>([
    ['nothing, where all is well', [], {}, {}, null],
    ['nothing that its own work explains', [], { state: 'processing' }, {}, null],
    ['flagged', ['audience_flagged'], { state: 'flagged' }, {}, null],
    ['disabled', ['audience_disabled'], { state: 'disabled' }, {}, null],
    ['renamed there', ['audience_renamed'], { name: 'Mine now' }, {}, null],
    ['not renamed: our own name is still to be told', [], { name: 'Old' }, { stale: true }, null],
    ['not renamed: an adopted audience is called as its owner likes', [], { name: 'Mine' }, { adopted: true }, null],
    ['to be deleted within 30 days', ['audience_expiring'], { expiresAt: days(30) }, {}, null],
    ['not yet near its end', [], { expiresAt: days(31) }, {}, null],
    ['expiring without a date', ['audience_expiring'], { state: 'expiring' }, {}, null],
    ['more people than were ever said', ['audience_swollen'], { size: 15_001 }, {}, null],
    ['not more than rounding and double accounts explain', [], { size: 15_000 }, {}, null],
    ['not more than a small audience is shown as', [], { size: 1_000 }, { ledger: 3 }, null],
    ['more, but an adopted audience has others’ people', [], { size: 90_000 }, { adopted: true }, null],
    ['fallen by a third while the ledger did not shrink', ['audience_shrunk'], { size: 5_600 }, {}, sound(8_000, 10_000)],
    ['not fallen: our own removals explain it', [], { size: 4_000 }, { ledger: 5_000 }, sound(8_000, 10_000)],
    ['not fallen: a tenth is nothing', [], { size: 7_200 }, {}, sound(8_000, 10_000)],
    ['not fallen: a few hundred are nothing', [], { size: 100 }, { ledger: 1_000 }, sound(900, 1_000)],
    ['not fallen: it never said how many', [], { size: null }, { ledger: null }, sound(8_000, 10_000)],
    ['nothing to compare with', [], { size: 10 }, {}, null],
  ])('%s', (_, expected, shown, ours, before) => {
    expect(codes(lookedAt(far(shown), here(ours), before, now))).toEqual(expected)
  })

  test('a fall is measured from the last sound size until it is over, or has been so for a month', () => {
    const first = lookedAt(far({ size: 4_000 }), here(), sound(8_000, 10_000), yesterday)
    const second = lookedAt(far({ size: 4_100 }), here(), first, now)
    expect(second.findings).toMatchObject([{ code: 'audience_shrunk', since: yesterday.toISOString() }])
    expect(second.sound).toEqual({ there: 8_000, ledger: 10_000 })
    expect(lookedAt(far({ size: 7_900 }), here(), second, now)).toMatchObject({ findings: [], sound: { there: 7_900 } })
    expect(lookedAt(far({ size: 4_100 }), here(), second, days(31))).toMatchObject({ findings: [], sound: { there: 4_100 } })
  })

  test('the policy decides what is put right', () => {
    const policy = { renamed: 'restore', size: 'resync' }
    const { findings } = lookedAt(far({ name: 'Else', size: 10 }), here({ policy }), sound(8_000, 10_000), now)
    expect(findings.map(({ code, healing }) => [code, healing])).toEqual([
      ['audience_renamed', 'automatic'],
      ['audience_shrunk', 'automatic'],
    ])
  })

  test('a size that only our own removals change, rounded to two digits, is never a finding', () => {
    const rounded = (size: number) => {
      const step = 10 ** Math.max(0, String(Math.round(size)).length - 2)
      return Math.round(size / step) * step
    }
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1_000_000 }), { minLength: 2 }), fc.integer({ min: 30, max: 100 }), (ledgers, percent) => {
        let drift: Drift | null = null
        // Growth is told at once, and matched by the next look: the platform is never ahead of us.
        for (const ledger of ledgers) {
          drift = lookedAt(far({ size: rounded((ledger * percent) / 100) }), here({ ledger }), drift, now)
          expect(codes(drift)).toEqual([])
        }
      }),
    )
  })
})
