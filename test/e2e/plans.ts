/** Look before you leap: a plan sends nothing, applied it does just that, and a run can be watched while it does. */
import { createAudience, createBehavior, ingest, members } from '@audience-sync/testing/conductor-client'
import { describe, expect, test } from '@jest/globals'
import { callsForNewAudiences, customer, farRows, joins, lastSeq, leaves, optedOut, people, rowsOf, uploads } from './people.ts'
import type { Stage } from './stage.ts'

export function plans(stage: Stage): void {
  describe('plans', () => {
    test('a plan sends nothing and says what will be; applied, it is that run; a plan that the world has overtaken is stale', async () => {
      const { twin } = stage.system
      const { client, accountId } = await stage.tenant('plans')
      const behavior = await createBehavior(client, 'planned')
      const some = people(0, 50)
      const [denied, ...others] = some
      await ingest(client, some.map(customer))
      await ingest(client, denied ? [optedOut(denied)] : [])
      await members(client, behavior, some.map(joins))
      const seq = await lastSeq(twin)
      const { id } = await createAudience(client, behavior, accountId, { start: false })

      const plan = await client.post(`/v1/audiences/${id}/plan`)
      expect(plan).toMatchObject({
        held: false,
        counts: { add: 49, remove: 0, replace: 0, suppressed: 1 },
        suppressedBy: { consent_denied: 1 },
        identifiers: { email: { present: 50, usable: 50 }, phone: { present: 50, usable: 50 } },
        apiCalls: 3,
      })
      const shown = JSON.stringify(plan.sampleRequests)
      expect(shown).toContain('/users')
      for (const row of rowsOf(some)) for (const digest of row.split(' ')) expect(shown).not.toContain(digest)
      expect(await callsForNewAudiences(twin, seq)).toEqual([])

      const { id: runId } = await client.post(`/v1/plans/${plan.id}/apply`)
      const { headers, body: events } = await client.ask('GET', `/v1/runs/${runId}/stream`)
      expect(headers.get('content-type')).toContain('text/event-stream')
      expect(events).toMatch(/event: end\ndata: \{\}\n\n$/)
      const run = await client.get(`/v1/runs/${runId}`)
      expect(run).toMatchObject({ trigger: 'plan', status: 'completed', counts: { added: 49, applied: 49, suppressed: 1 }, apiCalls: plan.apiCalls })
      const { externalId } = await client.get(`/v1/audiences/${id}`)
      expect((await uploads(twin, externalId, seq)).flatMap(({ data }) => data.map((row) => row.join(' '))).sort()).toEqual(rowsOf(others))

      const [gone, late] = others
      await members(client, behavior, gone ? [leaves(gone)] : [])
      const second = await client.post(`/v1/audiences/${id}/plan`)
      expect(second).toMatchObject({ mode: 'incremental', counts: { add: 0, remove: 1 } })
      await members(client, behavior, late ? [leaves(late)] : [])
      const stale = await client.ask('POST', `/v1/plans/${second.id}/apply`)
      expect(stale).toMatchObject({ status: 409, body: { code: 'plan_stale', planned: { remove: 1 }, now: { remove: 2 } } })
      expect(await farRows(twin, externalId)).toEqual(rowsOf(others))

      const log = await client.get(`/v1/audiences/${id}/history?kind=sync`)
      expect(log.data).toMatchObject([{ kind: 'sync', data: { runId, status: 'completed', added: 49, removed: 0, error: null } }])
      const { usedBy } = await client.get(`/v1/accounts/${accountId}/quota`)
      expect(usedBy).toMatchObject([{ audienceId: id, share: 1 }])
    })
  })
}
