/** The user's hand on every run: pause, resume, cancel, full refresh, how often to try, what to change before it leaves. */
import { createAudience, createBehavior, ingest, type Json, members, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import { describe, expect, test } from '@jest/globals'
import { addUp, eventually, filled } from './engine.ts'
import { customer, farRows, joins, lastSeq, later, leaves, people, rowsOf, uploads } from './people.ts'
import type { Stage } from './stage.ts'

const SIZE = 20

export function engineControl(stage: Stage): void {
  describe('5 Control', () => {
    test('5 Control: paused with a reason it rests; resumed it says in one run what was missed', async () => {
      const { twin } = stage.system
      const { client, audienceId, behavior, externalId, look } = await filled(stage, 'pause', SIZE)
      await client.post(`/v1/audiences/${audienceId}/pause`, { reason: 'stock-taking' })
      expect(await look()).toMatchObject({ status: 'paused', statusReason: { code: 'audience_paused', detail: 'stock-taking' } })
      await ingest(client, [...people(0, 2, 1), ...people(SIZE, SIZE + 4)].map(customer))
      await members(client, behavior, [...people(SIZE, SIZE + 4).map(joins), ...people(5, 8).map(leaves)])
      const refused = await Promise.all(['refresh', 'plan'].map((what) => client.ask('POST', `/v1/audiences/${audienceId}/${what}`, {})))
      expect(refused.map(({ status, body }) => [status, body.code])).toEqual([
        [409, 'audience_paused'],
        [409, 'audience_paused'],
      ])
      expect(await farRows(twin, externalId)).toEqual(rowsOf(people(0, SIZE)))

      await client.post(`/v1/audiences/${audienceId}/resume`)
      const { lastRun } = await look()
      expect(await waitRun(client, lastRun.id)).toMatchObject({ status: 'completed', counts: { added: 4, removed: 3, replaced: 2 } })
      expect(await farRows(twin, externalId)).toEqual(rowsOf([...people(0, 2, 1), ...people(2, 5), ...people(8, SIZE + 4)]))
      const { data } = await client.get(`/v1/audiences/${audienceId}/runs`)
      // Beside them a run of our own may say last words again (SYNC.md C4).
      expect(data.filter(({ trigger }: Json) => trigger !== 'heal')).toHaveLength(2)
    })

    test('5 Control: a run that is cancelled in the middle of a call keeps what was taken, and the next one says the rest', async () => {
      const { system } = stage
      const { twin } = system
      const { client, audienceId, behavior, externalId, explain } = await filled(stage, 'cancel', SIZE)
      const [newcomer] = people(SIZE, SIZE + 1)
      await ingest(client, people(SIZE, SIZE + 6).map(customer))
      await members(client, behavior, [...people(SIZE, SIZE + 6).map(joins), ...people(0, 4).map(leaves)])
      system.signal('twin', 'SIGSTOP')
      const { id } = await refresh(client, audienceId)
      try {
        await eventually('a call is under way', async () => {
          const states = await Promise.all([newcomer, ...people(0, 1)].map(async (one) => (await explain(one?.customerId ?? '')).state))
          return states.includes('sending')
        })
        await client.post(`/v1/runs/${id}/cancel`)
      } finally {
        system.signal('twin', 'SIGCONT')
      }
      const cancelled = await waitRun(client, id, ['cancelled'])
      addUp(cancelled)
      expect(cancelled.counts).toMatchObject({ unknown: 0, failed: 0 }) // the call in flight had its outcome
      const { counts } = await waitRun(client, (await refresh(client, audienceId)).id)
      expect(counts.accepted + cancelled.counts.accepted).toBe(10) // nobody twice, nobody never
      expect(await farRows(twin, externalId)).toEqual(rowsOf(people(4, SIZE + 6)))
    })

    test('5 Control: a full refresh finds everyone as they should be and says nothing again', async () => {
      const { twin } = stage.system
      const { client, audienceId, externalId } = await filled(stage, 'full', SIZE)
      const seq = await lastSeq(twin)
      const run = await waitRun(client, (await refresh(client, audienceId, 'full')).id)
      expect(run).toMatchObject({ mode: 'full', status: 'completed', counts: { planned: 0, unchanged: SIZE } })
      expect(await uploads(twin, externalId, seq)).toEqual([])
    })

    test('5 Control: retry policies and transformations are refused beyond their bounds when they are saved', async () => {
      const { client, audienceId } = await filled(stage, 'bounds', 3)
      const bad: object[] = [
        { retryPolicy: { attempts: 0 } },
        { retryPolicy: { attempts: 21 } },
        { retryPolicy: { windowHours: 169 } },
        { retryPolicy: { backoffSeconds: 301 } },
        { transformations: [{ type: 'constant', field: 'email', value: 'all@example.com' }] },
        { transformations: [{ type: 'eval', code: '1' }] },
        { transformations: [{ type: 'chooseIdentifier', order: ['email', 'email'] }] },
      ]
      const answers = await Promise.all(bad.map((change) => client.ask('PATCH', `/v1/audiences/${audienceId}`, change)))
      expect(answers.map(({ status, body }) => [status, body.code])).toEqual(bad.map(() => [400, 'validation_failed']))
      const good = await client.ask('PATCH', `/v1/audiences/${audienceId}`, { retryPolicy: { attempts: 20, windowHours: 168, backoffSeconds: 300 } })
      expect(good).toMatchObject({ status: 200, body: { retryPolicy: { attempts: 20, windowHours: 168, backoffSeconds: 300 } } })
    })

    test('5 Control: every kind of transformation is sent as it was previewed', async () => {
      const { twin } = stage.system
      const { client, accountId } = await stage.tenant('transformed')
      const behavior = await createBehavior(client, 'transformed')
      const consent = { adUserData: 'granted', adPersonalization: 'granted' }
      const crowd = [
        { customerId: 'x1', identifiers: { email: 'x1', phone: '(415) 555-0101', city: 'Zürich', country: 'CH' }, consent },
        { customerId: 'x2', identifiers: { email: 'X2', firstName: 'Ann', region: 'ca' }, consent },
        { customerId: 'x3', identifiers: { phone: '+14155550103', country: 'US' }, consent },
      ]
      const transformations = [
        { type: 'suffix', field: 'email', text: '@example.com' },
        { type: 'lower', field: 'email' },
        { type: 'upper', field: 'region' },
        { type: 'drop', field: 'firstName' },
        { type: 'constant', field: 'city', value: 'Bern' },
        { type: 'map', field: 'externalId', from: 'customerId' },
        { type: 'dropPerson', when: { field: 'country', equals: ['CH'] } },
        { type: 'defaultCountry', country: 'US' },
      ]
      const identifiers = ['email', 'phone', 'name', 'address', 'externalId']
      await ingest(
        client,
        crowd.map((one) => ({ ...one, occurredAt: later() })),
      )
      await members(
        client,
        behavior,
        crowd.map(({ customerId }) => ({ customerId, member: true, occurredAt: later() })),
      )
      const shown = await client.post('/v1/destinations/meta/preview', { operation: 'add', identifiers, transformations, members: crowd })
      expect(shown.members.map(({ rejected }: Json) => rejected?.code ?? null)).toEqual(['dropped_by_rule', null, null])
      const seq = await lastSeq(twin)
      const made = await createAudience(client, behavior, accountId, { identifiers, transformations })
      expect(await waitRun(client, made.lastRun.id)).toMatchObject({ status: 'completed', counts: { added: 2 }, suppressedBy: { dropped_by_rule: 1 } })
      const { externalId } = await client.get(`/v1/audiences/${made.id}`)
      const sent = (await uploads(twin, externalId, seq)).flatMap(({ schema, data }) => data.map((row) => `${schema} ${row}`)).sort()
      expect(sent).toEqual(shown.requests.flatMap(({ body: { payload } }: Json) => payload.data.map((row: string[]) => `${payload.schema} ${row}`)).sort())
      expect(sent.join()).toContain('x2') // customerId as EXTERN_ID
    })
  })
}
