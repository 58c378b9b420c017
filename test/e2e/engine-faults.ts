/** What the platform does in the middle of a run ends with everyone where they should be, and counts that say so. */
import { isDeepStrictEqual } from 'node:util'
import { uuidOf } from '@audience-sync/contracts/ids'
import { ingest, members, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import { describe, expect, test } from '@jest/globals'
import { addUp, eventually, filled } from './engine.ts'
import { customer, farRows, joins, leaves, people, person, rowsOf } from './people.ts'
import type { Stage } from './stage.ts'

const SIZE = 20
/** Ten come, five go, three change their address. */
const COUNTS = { planned: 18, accepted: 18, added: 10, removed: 5, replaced: 3, unknown: 0, failed: 0, rejected: 0 }
const DESIRED = [...people(0, 3, 1), ...people(8, SIZE + 10)]

export function engineFaults(stage: Stage): void {
  const moving = async (slug: string) => {
    const audience = await filled(stage, slug, SIZE)
    const { client, behavior } = audience
    await ingest(client, [...people(0, 3, 1), ...people(SIZE, SIZE + 10)].map(customer))
    await members(client, behavior, [...people(SIZE, SIZE + 10).map(joins), ...people(3, 8).map(leaves)])
    return audience
  }

  describe('12 History of trouble', () => {
    test.each([
      ['apply_then_reset', 'POST'],
      ['apply_then_reset', 'DELETE'],
      ['html_200', 'POST'],
      ['html_200', 'DELETE'],
    ])('1 Three-stage truth: %s at a %s in the middle of a run ends with everyone in place and counts that are right', async (kind, method) => {
      const { twin } = stage.system
      const { client, audienceId, externalId, uploads } = await moving(`${kind.replaceAll('_', '-')}-${method.toLowerCase()}`)
      await twin.fault({ match: { ...uploads, method }, kind, times: 2 })
      const run = await waitRun(client, (await refresh(client, audienceId)).id)
      addUp(run)
      expect(run).toMatchObject({ status: 'completed', counts: COUNTS })
      expect(await farRows(twin, externalId)).toEqual(rowsOf(DESIRED))
      expect(await waitRun(client, (await refresh(client, audienceId)).id)).toMatchObject({ counts: { planned: 0 } })
    })

    test('5 Control: throttled in the middle of a run, the audience is rate limited until a time, and goes on by itself when there is room again', async () => {
      const { twin, database } = stage.system
      const { client, audienceId, externalId, uploads, look, explain } = await moving('throttled')
      await twin.fault({ match: { ...uploads, method: 'POST' }, kind: 'throttle', delayMs: 60_000 })
      const { id } = await refresh(client, audienceId)
      const waiting = await waitRun(client, id, ['waiting'])
      expect(waiting.waitingFor).toMatchObject({ code: 'platform_throttled', until: expect.any(String), solution: expect.any(String) })
      addUp(waiting)
      expect(await explain(person(SIZE).customerId)).toMatchObject({ state: 'planned', operation: 'add', runId: id, next: 'none' })
      expect(await look()).toMatchObject({ status: 'rate_limited', statusReason: { code: 'platform_throttled', until: expect.any(String) } })
      // As if the minutes had passed: all tenants of the stage share the account, and its points would be out for five more.
      await database.admin('DELETE FROM sync.quota')
      await database.admin('UPDATE sync.run SET not_before = now() WHERE id = $1', [uuidOf('run', id)])
      await eventually('everything is accepted', async () => (await client.get(`/v1/runs/${id}`)).counts.accepted === COUNTS.accepted)
      await database.admin('UPDATE sync.audience SET settle_at = now() WHERE id = $1 AND settle_at IS NOT NULL', [uuidOf('audience', audienceId)])
      expect(await waitRun(client, id)).toMatchObject({ status: 'completed', counts: COUNTS })
      expect(await farRows(twin, externalId)).toEqual(rowsOf(DESIRED))
    })

    test('3 The brake: a removal that Meta refuses because too few would be left holds the audience, and is done when it has grown', async () => {
      const { twin } = stage.system
      const settings = { fullRefresh: 'add_and_remove' }
      const { client, audienceId, behavior, externalId, uploads, look } = await filled(stage, 'too-few', SIZE, { settings })
      await members(client, behavior, people(0, 5).map(leaves))
      await twin.fault({ match: { ...uploads, method: 'DELETE' }, kind: 'too_small' })
      const run = await waitRun(client, (await refresh(client, audienceId)).id)
      addUp(run)
      expect(run).toMatchObject({ status: 'completed_with_rejections', counts: { planned: 5, removed: 0, rejected: 5 } })
      expect(await look()).toMatchObject({ status: 'held', statusReason: { code: 'removal_refused', platform: { code: '200/1870047' } } })
      expect(await farRows(twin, externalId)).toEqual(rowsOf(people(0, SIZE)))

      await ingest(client, people(SIZE, SIZE + 10).map(customer))
      await members(client, behavior, people(SIZE, SIZE + 10).map(joins))
      await refresh(client, audienceId)
      const desired = rowsOf(people(5, SIZE + 10))
      await eventually('those who were refused are gone', async () => isDeepStrictEqual(await farRows(twin, externalId), desired))
      await eventually('the audience is active again', async () => (await look()).status === 'active')
    })
  })
}
