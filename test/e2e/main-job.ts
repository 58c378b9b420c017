/** The main job: a behavior becomes an audience and stays in step with it, and the API says what happened. */

import { createAudience, createBehavior, FINISHED, ingest, members, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import { patiently } from '@audience-sync/testing/patient'
import { until } from '@audience-sync/testing/until'
import { describe, expect, test } from '@jest/globals'
import { callsForNewAudiences, customer, farRows, joins, lastSeq, leaves, optedOut, people, person, rowsOf, sha256, uploads } from './people.ts'
import type { Stage } from './stage.ts'

const SIZE = 500
const MOVED = 50 // leave, join, and change their address, each

export function mainJob(stage: Stage): void {
  describe('the main job', () => {
    test('a behavior reaches Meta, and stays in step through joins, departures and changed addresses', async () => {
      const { twin } = stage.system
      const { client, accountId } = await stage.tenant('main-job')
      const behavior = await createBehavior(client, 'comfort_seekers')
      const first = people(0, SIZE)
      expect(await ingest(client, first.map(customer))).toMatchObject({ received: SIZE, changed: SIZE, rejected: 0 })
      expect(await members(client, behavior, first.map(joins))).toMatchObject({ received: SIZE, changed: SIZE })

      const made = await createAudience(client, behavior, accountId)
      const created = await waitRun(client, made.lastRun.id)
      expect(created).toMatchObject({ status: 'completed', trigger: 'created' })
      expect(created.counts).toMatchObject({ planned: SIZE, accepted: SIZE, applied: SIZE, added: SIZE, removed: 0, replaced: 0, rejected: 0, suppressed: 0 })
      const { externalId } = await client.get(`/v1/audiences/${made.id}`)
      expect(await farRows(twin, externalId)).toEqual(rowsOf(first))

      const leaving = first.slice(0, MOVED)
      const moving = people(MOVED, 2 * MOVED, 1)
      const joining = people(SIZE, SIZE + MOVED)
      await ingest(client, [...moving, ...joining].map(customer))
      await members(client, behavior, [...leaving.map(leaves), ...joining.map(joins)])
      const second = await waitRun(client, (await refresh(client, made.id)).id)
      expect(second.status).toBe('completed')
      expect(second.counts).toMatchObject({ planned: 3 * MOVED, accepted: 3 * MOVED, added: MOVED, removed: MOVED, replaced: MOVED })
      const desired = rowsOf([...moving, ...first.slice(2 * MOVED), ...joining])
      expect(await farRows(twin, externalId)).toEqual(desired)

      expect(await client.get('/v1/status')).toMatchObject({ platforms: [{ destination: 'meta', state: 'ok', failed: 0, lastAnswerAt: expect.any(String) }] })

      const seq = await lastSeq(twin)
      const third = await waitRun(client, (await refresh(client, made.id)).id)
      expect(third).toMatchObject({ status: 'completed', counts: { planned: 0 } })
      // Nothing new, nothing said; but Meta keeps no order, so the last word about a replacement is said again (SYNC.md C4).
      const saidAgain = (await uploads(twin, externalId, seq)).flatMap(({ operation, data }) => data.map((row) => `${operation} ${row.join(' ')}`))
      const lastWords = new Set(rowsOf(moving).map((row) => `add ${row}`))
      expect(saidAgain.filter((word) => !lastWords.has(word))).toEqual([])
      expect(await farRows(twin, externalId)).toEqual(desired)
      // A run of its own may have said it.
      await until('it is in step', async () => (await client.get(`/v1/audiences/${made.id}`)).status === 'active')
    })

    test('a removal after an e-mail change carries the old digest', async () => {
      const { twin } = stage.system
      const { client, accountId } = await stage.tenant('old-digest')
      const behavior = await createBehavior(client, 'movers')
      const before = people(0, 3)
      await ingest(client, before.map(customer))
      await members(client, behavior, before.map(joins))
      const made = await createAudience(client, behavior, accountId)
      await waitRun(client, made.lastRun.id)
      const { externalId } = await client.get(`/v1/audiences/${made.id}`)

      await ingest(client, [customer(person(1, 1))])
      await members(client, behavior, [leaves(person(1))])
      const seq = await lastSeq(twin)
      const run = await waitRun(client, (await refresh(client, made.id)).id)
      expect(run.counts).toMatchObject({ planned: 1, removed: 1 })
      const [removal, ...more] = await uploads(twin, externalId, seq)
      expect(more).toEqual([])
      expect(removal).toMatchObject({ operation: 'remove', schema: ['EMAIL', 'PHONE'] })
      expect(removal?.data).toEqual([[sha256(person(1).email), sha256(person(1).phone.slice(1))]])
      expect(await farRows(twin, externalId)).toEqual(rowsOf([person(0), person(2)]))
    })

    test('100 parallel refreshes of one audience make at most two runs', async () => {
      const { system } = stage
      const { client, accountId } = await stage.tenant('storm')
      const behavior = await createBehavior(client, 'stormy')
      await ingest(client, people(0, 20).map(customer))
      await members(client, behavior, people(0, 20).map(joins))
      const made = await createAudience(client, behavior, accountId, { start: false })
      system.signal('twin', 'SIGSTOP') // the platform takes its time: the first run outlives the storm, however slow the machine
      const answers = await Promise.all(Array.from({ length: 100 }, () => patiently(() => client.ask('POST', `/v1/audiences/${made.id}/refresh`, {})))).finally(
        () => system.signal('twin', 'SIGCONT'),
      )
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]))
      const runs = new Set<string>(answers.map(({ body }) => body.id))
      for (const id of runs) expect(await waitRun(client, id)).toMatchObject({ status: 'completed' })
      // One that made a run may have been told 503, and asked again when that run had begun: nobody heard of it then, and it counts.
      const { data } = await client.get(`/v1/audiences/${made.id}/runs`)
      expect(data.length).toBeLessThanOrEqual(2)
      expect(data.map(({ id }: { id: string }) => id)).toEqual(expect.arrayContaining([...runs]))
    })

    test('an opt-out is removed from a paused audience, which otherwise rests', async () => {
      const { twin } = stage.system
      const { client, accountId } = await stage.tenant('opt-out')
      const behavior = await createBehavior(client, 'resting')
      const some = people(0, 10)
      await ingest(client, some.map(customer))
      await members(client, behavior, some.map(joins))
      const made = await createAudience(client, behavior, accountId)
      await waitRun(client, made.lastRun.id)
      const { externalId } = await client.get(`/v1/audiences/${made.id}`)
      expect((await client.post(`/v1/audiences/${made.id}/pause`, { reason: 'campaign is over' })).status).toBe('paused')
      expect((await client.ask('POST', `/v1/audiences/${made.id}/refresh`, {})).body.code).toBe('audience_paused')

      await ingest(client, [optedOut(person(3))])
      await members(client, behavior, [leaves(person(4))])
      const left = some.filter((_, i) => i !== 3)
      await until('the opted-out person is gone', async () => (await farRows(twin, externalId)).length === left.length, { timeoutMs: 60_000 })
      expect(await farRows(twin, externalId)).toEqual(rowsOf(left)) // who merely left stays until it is resumed
      expect((await client.get(`/v1/audiences/${made.id}`)).status).toBe('paused')

      await client.post(`/v1/audiences/${made.id}/resume`)
      await until('the departure is said after the pause', async () => (await farRows(twin, externalId)).length === left.length - 1, { timeoutMs: 60_000 })
      expect(await farRows(twin, externalId)).toEqual(rowsOf(left.filter(({ customerId }) => customerId !== person(4).customerId)))
    })

    test('below its minimum size an audience waits, and starts by itself when there are enough', async () => {
      const { twin } = stage.system
      const { client, accountId } = await stage.tenant('too-small')
      const behavior = await createBehavior(client, 'growing')
      await ingest(client, people(0, 12).map(customer))
      await members(client, behavior, people(0, 9).map(joins))
      const seq = await lastSeq(twin)
      const made = await createAudience(client, behavior, accountId, { minimumSize: 10 })
      expect(made).toMatchObject({ status: 'paused', statusReason: { code: 'audience_too_small' }, externalId: null, lastRun: null })
      const refused = await client.ask('POST', `/v1/audiences/${made.id}/refresh`, {})
      expect([refused.status, refused.body.code]).toEqual([409, 'audience_too_small'])
      expect(await callsForNewAudiences(twin, seq)).toEqual([])

      await members(client, behavior, people(9, 12).map(joins))
      const grown = await until(
        'the audience is made and filled',
        async () => {
          const now = await client.get(`/v1/audiences/${made.id}`)
          return FINISHED.includes(now.lastRun?.status) && now
        },
        { timeoutMs: 60_000 },
      )
      expect(grown.lastRun).toMatchObject({ status: 'completed', counts: { added: 12 } })
      expect(await farRows(twin, grown.externalId)).toEqual(rowsOf(people(0, 12)))
    })
  })
}
