/** A plan runs as it was shown, or not at all; plans.ts has the whole way, here is what makes one stale. */
import { createAudience, createBehavior, ingest, members, waitRun } from '@audience-sync/testing/conductor-client'
import { describe, expect, test } from '@jest/globals'
import { filled } from './engine.ts'
import { customer, farRows, joins, leaves, people, person, rowsOf } from './people.ts'
import type { Stage } from './stage.ts'

const SIZE = 20

export function enginePlan(stage: Stage): void {
  describe('2 Plan and apply', () => {
    test('2 Plan and apply: other people, other identifiers or other choices make a plan stale, and it says which; what comes after is left to the next run', async () => {
      const { twin } = stage.system
      const { client, audienceId, behavior, externalId } = await filled(stage, 'stale', SIZE)
      await ingest(client, people(SIZE, SIZE + 4).map(customer))
      const make = () => client.post(`/v1/audiences/${audienceId}/plan`)
      const apply = (plan: { id: string }) => client.ask('POST', `/v1/plans/${plan.id}/apply`)
      const stale = (detail: RegExp) => ({ status: 409, body: { code: 'plan_stale', detail: expect.stringMatching(detail) } })

      await members(client, behavior, [joins(person(SIZE)), leaves(person(0))])
      const plan = await make()
      expect(plan.counts).toMatchObject({ add: 1, remove: 1, replace: 0 })
      // As many, but somebody else.
      await members(client, behavior, [leaves(person(SIZE)), joins(person(SIZE + 1))])
      expect(await apply(plan)).toMatchObject(stale(/as many, but other people or other identifiers/))

      const again = await make()
      await ingest(client, [customer(person(2, 1))])
      expect(await apply(again)).toMatchObject({ ...stale(/replace: 0, now 1/), body: { planned: { replace: 0 }, now: { replace: 1 } } })

      const third = await make()
      await client.ask('PATCH', `/v1/audiences/${audienceId}`, { retryPolicy: { attempts: 3 } })
      const run = await apply(third)
      expect(run).toMatchObject({ status: 202, body: { trigger: 'plan' } }) // how often we try changes nobody
      await members(client, behavior, [joins(person(SIZE + 2))])
      expect(await waitRun(client, run.body.id)).toMatchObject({ status: 'completed', counts: { added: 1, removed: 1, replaced: 1 } })
      expect(await farRows(twin, externalId)).toEqual(rowsOf([person(1), person(2, 1), ...people(3, SIZE), person(SIZE + 1)]))
      expect(await apply(third)).toMatchObject({ status: 202, body: { id: run.body.id } }) // twice is once

      const fourth = await make()
      expect(fourth.counts).toMatchObject({ add: 1, remove: 0 })
      await client.ask('PATCH', `/v1/audiences/${audienceId}`, { identifiers: ['email'] })
      expect((await apply(fourth)).body.code).toBe('plan_stale')
    })

    test('2 Plan and apply: a plan shows what would be held, kept back and asked of the platform, before anything exists there', async () => {
      const { twin } = stage.system
      const { client, accountId } = await stage.tenant('plan-shown')
      const behavior = await createBehavior(client, 'shown')
      await ingest(client, [...people(0, 5).map(customer), { ...customer(person(5)), identifiers: { email: 'no address' } }])
      await members(client, behavior, people(0, 6).map(joins))
      const { id } = await createAudience(client, behavior, accountId, { start: false })
      const plan = await client.post(`/v1/audiences/${id}/plan`)
      expect(plan).toMatchObject({
        counts: { add: 5, suppressed: 1 },
        suppressedBy: { no_usable_identifier: 1 },
        identifiers: { email: { present: 6, usable: 5, unusable: { email_malformed: 1 } }, phone: { present: 5, usable: 5 } },
        apiCalls: expect.any(Number),
        expectedSeconds: expect.any(Number),
        quota: expect.any(Object),
        sampleRequests: expect.any(Array),
      })
      expect((await client.get(`/v1/audiences/${id}`)).externalId).toBeNull()
      expect((await twin.state()).audiences.map(({ name }) => name)).not.toContain((await client.get(`/v1/audiences/${id}`)).name)
    })
  })
}
