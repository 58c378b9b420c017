/** What a user chooses of an audience reaches the platform as chosen, and each person can be explained. */
import { createAudience, createBehavior, ingest, type Json, members, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import { until } from '@audience-sync/testing/until'
import { describe, expect, test } from '@jest/globals'
import { callsForNewAudiences, customer, joins, lastSeq, later, people, uploads } from './people.ts'
import type { Stage } from './stage.ts'

const CONSENT = { adUserData: 'granted', adPersonalization: 'granted' }
const TRANSFORMATIONS = [
  { type: 'dropPerson', when: { field: 'country', equals: ['US'] } },
  { type: 'defaultCountry', country: 'CH' },
  { type: 'chooseIdentifier', order: ['email', 'emails'] },
]
const PEOPLE = [
  { customerId: 't1', identifiers: { email: 't1@example.com', emails: ['second@example.com'] } },
  { customerId: 't2', identifiers: { phone: '044 668 18 00' } },
  { customerId: 't3', identifiers: { email: 't3@example.com', country: 'US' } },
  { customerId: 't4', identifiers: { email: 't4@example.com', phone: 'none' }, consent: { ...CONSENT, adUserData: 'denied' } },
].map((person) => ({ consent: CONSENT, ...person }))

export function choices(stage: Stage): void {
  describe('choices', () => {
    test('transformations send what preview shows, and every person is explained before, during and after', async () => {
      const { twin } = stage.system
      const { client, accountId } = await stage.tenant('choices')
      const behavior = await createBehavior(client, 'chosen')
      await ingest(
        client,
        PEOPLE.map((person) => ({ ...person, occurredAt: later() })),
      )
      const since = later()
      await members(
        client,
        behavior,
        PEOPLE.map(({ customerId }) => ({ customerId, member: true, occurredAt: since })),
      )
      const shown = await client.post('/v1/destinations/meta/preview', {
        operation: 'add',
        identifiers: ['email', 'phone'],
        transformations: TRANSFORMATIONS,
        members: PEOPLE,
      })
      const codes = Object.fromEntries(shown.members.map(({ customerId, rejected }: Json) => [customerId, rejected?.code ?? null]))
      expect(codes).toEqual({ t1: null, t2: null, t3: 'dropped_by_rule', t4: 'consent_denied' })

      const seq = await lastSeq(twin)
      const made = await createAudience(client, behavior, accountId, { name: '{purpose} - {behavior}', transformations: TRANSFORMATIONS })
      expect(made).toMatchObject({ name: 'Targeting - chosen', nameWarnings: [] })
      const run = await waitRun(client, made.lastRun.id)
      expect(run).toMatchObject({ status: 'completed', counts: { added: 2, suppressed: 2 }, suppressedBy: { dropped_by_rule: 1 } })
      const { externalId } = await client.get(`/v1/audiences/${made.id}`)
      const sent = (await uploads(twin, externalId, seq)).flatMap(({ data }) => data.map(String)).sort()
      expect(sent).toEqual(shown.requests.flatMap(({ body }: Json) => body.payload.data.map(String)).sort())

      const explained = (customerId: string) => client.get(`/v1/audiences/${made.id}/members/${customerId}`)
      expect(await explained('t1')).toMatchObject({
        membership: { member: true, since: new Date(since).toISOString() },
        consent: { adUserData: 'granted', purpose: 'ads', allowed: true },
        identifiers: { email: { kept: true, dropped: [] }, phone: { kept: false, code: 'identifier_missing' } },
        state: 'applied',
        runId: run.id,
        batchId: expect.stringMatching(/^bat_/),
        receipt: expect.any(Object),
        reason: null,
        next: 'none',
      })
      expect(await explained('t2')).toMatchObject({ identifiers: { phone: { kept: true } }, state: 'applied' })
      expect(await explained('t3')).toMatchObject({ state: 'absent', reason: { code: 'dropped_by_rule' }, next: 'none' })
      expect(await explained('t4')).toMatchObject({ consent: { allowed: false, code: 'consent_denied' }, state: 'absent', reason: { code: 'consent_denied' } })

      await members(client, behavior, [{ customerId: 't1', member: false, occurredAt: later() }])
      expect(await explained('t1')).toMatchObject({ membership: { member: false }, state: 'applied', next: 'remove' })
      await waitRun(client, (await refresh(client, made.id)).id)
      // Gone there, and it is known by which call.
      expect(await explained('t1')).toMatchObject({ membership: { member: false }, state: 'removed', batchId: expect.stringMatching(/^bat_/), next: 'none' })
    })

    test('a behavior of fewer than a hundred is told of and paused, and begins by itself at the hundredth, with limited reach', async () => {
      const { twin } = stage.system
      const { client, accountId } = await stage.tenant('hundred')
      const behavior = await createBehavior(client, 'small')
      const join = async (from: number, to: number) => {
        await ingest(client, people(from, to).map(customer))
        await members(client, behavior, people(from, to).map(joins))
      }
      await join(0, 99)
      const seq = await lastSeq(twin)
      const made = await createAudience(client, behavior, accountId, { minimumSize: undefined })
      expect(made).toMatchObject({
        minimumSize: 100,
        status: 'paused',
        statusReason: { code: 'audience_too_small', title: 'Audience too small', solution: expect.stringContaining('combine') },
        size: { eligible: 99 },
        sizeAdvice: { band: 'too_small', limitedReach: true },
        externalId: null,
        lastRun: null,
      })
      expect((await client.ask('POST', `/v1/audiences/${made.id}/refresh`)).body.code).toBe('audience_too_small')
      expect(await callsForNewAudiences(twin, seq)).toEqual([])

      await join(99, 100)
      const look = () => client.get(`/v1/audiences/${made.id}`)
      const begun = await until('the first run has begun', async () => (await look()).lastRun, { timeoutMs: 60_000, everyMs: 200 })
      expect(await waitRun(client, begun.id)).toMatchObject({ trigger: 'created', status: 'completed', counts: { added: 100, applied: 100 } })
      expect(await look()).toMatchObject({
        status: 'active',
        externalId: expect.any(String),
        sizeAdvice: { limitedReach: true },
        destinationState: { asOf: expect.any(String) },
      })
      const { data } = await client.get(`/v1/audiences/${made.id}/history?kind=size`)
      expect(data.at(-1)).toMatchObject({ data: { behavior: 99, eligible: 99 } }) // the history begins with the creation
      expect(data.map(({ data }: Json) => data).filter(({ direction }: Json) => direction)).toMatchObject([{ direction: 'above', eligible: 100, minimum: 100 }])
    })
  })
}
