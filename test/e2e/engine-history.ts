/** What happened to an audience over time, line by line, as the sync log shows it. */
import { ingest, type Json, members, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import { describe, expect, test } from '@jest/globals'
import { filled } from './engine.ts'
import { customer, joins, leaves, people } from './people.ts'
import type { Stage } from './stage.ts'

const SIZE = 20

export function engineHistory(stage: Stage): void {
  describe('12 History', () => {
    test('12 History: every sync is a line with its figures and its error, every status and size a point in time', async () => {
      const { twin } = stage.system
      const { client, audienceId, behavior, uploads } = await filled(stage, 'history', SIZE)
      await ingest(client, people(SIZE, SIZE + 5).map(customer))
      await members(client, behavior, [...people(SIZE, SIZE + 5).map(joins), ...people(0, 2).map(leaves)])
      const second = await waitRun(client, (await refresh(client, audienceId)).id)
      await client.post(`/v1/audiences/${audienceId}/pause`, { reason: 'sale' })
      await client.post(`/v1/audiences/${audienceId}/resume`)
      await waitRun(client, (await client.get(`/v1/audiences/${audienceId}`)).lastRun.id)
      await members(client, behavior, people(2, 3).map(leaves))
      await twin.fault({ match: uploads, kind: 'status', status: 400, code: 200, subcode: 1870034 })
      const failed = await waitRun(client, (await refresh(client, audienceId)).id)

      const { data: log } = await client.get(`/v1/audiences/${audienceId}/history?kind=sync`)
      expect(log.map(({ data }: Json) => [data.trigger, data.status, data.added, data.removed])).toEqual([
        ['api', 'failed', 0, 0],
        ['api', 'completed', 0, 0], // of the resumption
        ['api', 'completed', 5, 2],
        ['created', 'completed', SIZE, 0],
      ])
      expect(log[0]).toMatchObject({
        kind: 'sync',
        at: expect.any(String),
        data: { runId: failed.id, error: { code: 'terms_not_signed', solution: expect.any(String) } },
      })
      expect(log[2].data).toMatchObject({ runId: second.id, mode: 'incremental', replaced: 0, rejected: 0, error: null })
      // The columns of the log: when, how many, how large there, what share matched, how it is there, what it cost.
      expect(log[2].data).toMatchObject({
        startedAt: second.startedAt,
        apiCalls: second.apiCalls,
        destination: { state: expect.any(String), asOf: expect.any(String) },
      })
      expect([log[2].data.size, log[2].data.matchRate].every((figure) => figure === null || typeof figure === 'number')).toBe(true)
      expect(log.map(({ at }: Json) => at)).toEqual(
        log
          .map(({ at }: Json) => at)
          .toSorted()
          .toReversed(),
      )

      const { data: statuses } = await client.get(`/v1/audiences/${audienceId}/history?kind=status&limit=200`)
      const codes = statuses.map(({ data: { to, code } }: Json) => `${to} ${code ?? ''}`.trim())
      expect(codes[0]).toBe('error terms_not_signed')
      expect(codes).toEqual(expect.arrayContaining(['paused audience_paused', 'active']))
      const { data: sizes } = await client.get(`/v1/audiences/${audienceId}/history?kind=size`)
      expect(sizes[0]?.data).toBeDefined()
    })
  })
}
