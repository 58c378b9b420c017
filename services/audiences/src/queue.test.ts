/** What a queued run says of itself: why it has not begun, and when it is expected to. */
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import type { AudienceRow, RunRow } from '@audience-sync/sync-engine/store/rows'
import { describe, expect, test } from '@jest/globals'
import type { Expected } from './placement.ts'
import { queuedFor } from './queue.ts'

const now = new Date('2026-11-23T10:00:00Z')
const [before, soon, later] = [new Date('2026-11-23T09:00:00Z'), new Date('2026-11-23T10:00:10Z'), new Date('2026-11-23T10:20:00Z')]
const id = newUuid()
const audience = (fields: Partial<AudienceRow> = {}) =>
  ({ id, no: 1, pausedAt: null, deleteRequestedAt: null, missing: null, healRequestedAt: null, statusSince: before, ...fields }) as AudienceRow
const run = (fields: Partial<RunRow> = {}) =>
  ({ id: newUuid(), status: 'queued', requestedAt: before, startedAt: null, notBefore: null, waitReason: null, gaveWayAt: null, ...fields }) as RunRow
const mine = run()
const live = (status: string, fields: Partial<RunRow> = {}) => run({ status, startedAt: before, ...fields })
const forecast = (runId: string, startsAt: Date | null, audienceId = id): Expected => ({
  audienceId: publicId('audience', audienceId),
  name: 'n',
  runId: publicId('run', runId),
  status: 'queued',
  calls: 1,
  startsAt: startsAt?.toISOString() ?? null,
  endsAt: startsAt?.toISOString() ?? null,
  dueBy: null,
  atRisk: false,
})
const other = forecast(newUuid(), now, newUuid())
const me = (at: Date | null) => forecast(mine.id, at)

describe('a queued run says', () => {
  test.each<[string, string | undefined, Date | null | undefined, AudienceRow, RunRow | undefined, Expected[], RunRow?]>([
    ['nothing, when it begins at once', undefined, null, audience(), undefined, [me(now)]],
    ['that the audience is paused', 'audience_paused', null, audience({ pausedAt: before }), undefined, [me(later)]],
    ['that the audience is being deleted', 'audience_deleting', null, audience({ deleteRequestedAt: before, pausedAt: before }), undefined, []],
    ['that the far audience is missing', 'audience_missing', null, audience({ missing: { code: 'audience_missing' } }), undefined, [me(now)]],
    ['that the brake holds an earlier run', 'audience_held', null, audience(), live('held'), []],
    ['that an earlier run is at work, and when that is expected to end', 'earlier_run', later, audience(), live('running'), [forecast(newUuid(), later)]],
    [
      'what keeps the earlier run',
      'connection_expired',
      null,
      audience(),
      live('waiting', { waitReason: { code: 'connection_expired' }, notBefore: new Date(Number.NaN) }),
      [forecast(newUuid(), null)],
    ],
    ['that more changes are waited for', 'changes_gathering', soon, audience(), undefined, [me(soon)], { ...mine, notBefore: soon }],
    ['that others of its account have their turn, and when it has its own', 'gave_way', later, audience(), undefined, [other, me(later)]],
    ['that the account has no points, where nobody else waits', 'platform_throttled', later, audience(), undefined, [me(later)]],
  ])('%s', (_, code, startsAt, owner, earlier, expected, asked = mine) => {
    const said = queuedFor(asked, owner, earlier, expected, now)
    expect([said.waitingFor?.code, said.startsAt]).toEqual([code, startsAt?.toISOString() ?? null])
    if (code === 'gave_way') expect(said.waitingFor).toMatchObject({ until: later.toISOString(), since: before.toISOString() })
  })
})
