/** What somebody else does to an audience at the platform: found, shown with what to do, and healed when its owner says so. */
import { type Json, waitRun } from '@audience-sync/testing/conductor-client'
import { until } from '@audience-sync/testing/until'
import { describe, expect, test } from '@jest/globals'
import { filled } from './engine.ts'
import { farRows, people, rowsOf } from './people.ts'
import type { Stage } from './stage.ts'

const SIZE = 12

export function drift(stage: Stage): void {
  describe('9 Drift watch', () => {
    test('9 deleted there: a look finds it, the audience is held with the question, and healing brings the same people back', async () => {
      const { twin } = stage.system
      const { client, audienceId, externalId, look } = await filled(stage, 'drift-deleted', SIZE)
      expect(await client.ask('POST', `/v1/audiences/${audienceId}/heal`)).toMatchObject({ status: 409, body: { code: 'nothing_to_heal' } })
      await twin.deleteAudience(externalId)
      expect(await client.ask('POST', `/v1/audiences/${audienceId}/check`)).toMatchObject({ status: 202, body: { id: audienceId } })
      const held = (await until('it is held', async () => {
        const now = await look()
        return now.status === 'held' && now
      })) as Json
      expect(held).toMatchObject({
        statusReason: { code: 'audience_missing', solution: expect.stringContaining('/heal') },
        drift: { findings: [{ code: 'audience_missing', healing: 'asks', since: expect.any(String) }], policy: { missing: 'hold' } },
      })
      expect((await client.ask('POST', `/v1/audiences/${audienceId}/refresh`, {})).body.code).toBe('audience_missing')

      const answer = await client.ask('POST', `/v1/audiences/${audienceId}/heal`)
      expect(answer).toMatchObject({ status: 202, body: { trigger: 'heal', mode: 'full' } })
      expect(await waitRun(client, answer.body.id)).toMatchObject({ status: 'completed', counts: { added: SIZE, rejected: 0 } })
      const now = await look()
      expect(now).toMatchObject({ status: 'active', statusReason: null, drift: { findings: [] } })
      expect(now.externalId).not.toBe(externalId)
      expect(await farRows(twin, now.externalId)).toEqual(rowsOf(people(0, SIZE)))
      const { data } = await client.get(`/v1/audiences/${audienceId}/history?kind=drift`)
      expect(data.map((line: Json) => line.data.code)).toEqual(['recreated', 'audience_missing'])
    })

    test('9 renamed and flagged there: both are shown, the flagged one as an error, until they are over', async () => {
      const { twin } = stage.system
      const { client, audienceId, externalId, look } = await filled(stage, 'drift-changed', SIZE, { drift: { renamed: 'report' } })
      /** The findings of a look that began after this. */
      const seen = async () => {
        const before = (await look()).drift.checkedAt
        await client.post(`/v1/audiences/${audienceId}/check`)
        return (await until('it was looked at', async () => {
          const now = await look()
          return now.drift.checkedAt !== before && now
        })) as Json
      }
      await twin.changeAudience(externalId, { name: 'Renamed by hand', flagged: true })
      const found = await seen()
      expect(found).toMatchObject({ status: 'error', statusReason: { code: 'audience_flagged' } })
      expect(found.drift.findings).toMatchObject([
        { code: 'audience_flagged', title: expect.any(String), solution: expect.any(String) },
        { code: 'audience_renamed', detail: expect.stringContaining('Renamed by hand'), healing: 'none' },
      ])
      await client.ask('PATCH', `/v1/audiences/${audienceId}`, { name: 'Renamed by hand' })
      await twin.changeAudience(externalId, { flagged: false })
      expect((await seen()).drift.findings).toEqual([])
      await until('it is in step again', async () => (await look()).status === 'active')
    })
  })
}
