/** Nobody is wiped out by mistake: a feed that goes empty is held with its figures until somebody looks. */
import { members, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import { describe, expect, test } from '@jest/globals'
import { filled } from './engine.ts'
import { farRows, joins, lastSeq, leaves, people, rowsOf, uploads } from './people.ts'
import type { Stage } from './stage.ts'

const SIZE = 40
const BRAKE = { brake: { sharePercent: 30, minimum: 10 } }

export function engineBrake(stage: Stage): void {
  describe('3 The brake', () => {
    test('3 The brake: a feed that goes empty is held with figures, and nothing is sent until it is approved', async () => {
      const { twin } = stage.system
      const { client, audienceId, behavior, externalId, look } = await filled(stage, 'brake', SIZE, BRAKE)
      await members(client, behavior, people(0, SIZE).map(leaves))
      const seq = await lastSeq(twin)
      const plan = await client.post(`/v1/audiences/${audienceId}/plan`)
      expect(plan).toMatchObject({ held: true, hold: { removals: SIZE, size: SIZE }, counts: { remove: SIZE } })
      const { id } = await refresh(client, audienceId)
      const held = await waitRun(client, id, ['held'])
      expect(held).toMatchObject({ hold: { removals: SIZE, size: SIZE, before: 0, sharePercent: 30, minimum: 10 }, counts: { planned: 0 } })
      expect(await look()).toMatchObject({ status: 'held', statusReason: { code: 'audience_held', solution: expect.any(String) } })
      expect(await client.ask('POST', `/v1/audiences/${audienceId}/refresh`, {})).toMatchObject({ status: 409, body: { code: 'audience_held' } })
      expect(await client.ask('POST', `/v1/audiences/${audienceId}/plan`)).toMatchObject({ status: 409, body: { code: 'audience_held' } })
      expect(await uploads(twin, externalId, seq)).toEqual([])

      expect(await client.ask('POST', `/v1/audiences/${audienceId}/approve`)).toMatchObject({ status: 202, body: { id } })
      expect(await waitRun(client, id)).toMatchObject({ status: 'completed', counts: { removed: SIZE } })
      expect(await farRows(twin, externalId)).toEqual([])
    })

    test('3 The brake: cancelling drops the hold, not the changes; when the feed is mended nothing was lost', async () => {
      const { twin } = stage.system
      const { client, audienceId, behavior, externalId } = await filled(stage, 'brake-off', SIZE, BRAKE)
      await members(client, behavior, people(0, SIZE - 5).map(leaves))
      const held = await waitRun(client, (await refresh(client, audienceId)).id, ['held'])
      await client.post(`/v1/runs/${held.id}/cancel`)
      await waitRun(client, held.id, ['cancelled'])
      const again = await waitRun(client, (await refresh(client, audienceId)).id, ['held'])
      expect(again.hold).toMatchObject({ removals: SIZE - 5 }) // still to be said, still too many
      await client.post(`/v1/runs/${again.id}/cancel`)
      await waitRun(client, again.id, ['cancelled'])

      await members(client, behavior, people(3, SIZE).map(joins))
      expect(await waitRun(client, (await refresh(client, audienceId)).id)).toMatchObject({ status: 'completed', counts: { planned: 3, removed: 3 } })
      expect(await farRows(twin, externalId)).toEqual(rowsOf(people(3, SIZE)))
    })
  })
}
