/** What an audience is called: filled in, never twice in an account, and said beforehand where the platform takes offence. */
import { createAudience, createBehavior, ingest, members, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import { describe, expect, test } from '@jest/globals'
import { customer, farRows, joins, people, rowsOf } from './people.ts'
import type { Stage } from './stage.ts'

export function engineNames(stage: Stage): void {
  describe('7 Names', () => {
    test('7 Names: templates are filled in, a name that is taken comes with another, and Meta is told the name', async () => {
      const { twin } = stage.system
      const { client, accountId } = await stage.tenant('names')
      const behavior = await (await client.post('/v1/behaviors', { key: 'comfort_seekers', name: 'Comfort Seekers' })).id
      await ingest(client, people(0, 3).map(customer))
      await members(client, behavior, people(0, 3).map(joins))
      const template = '{purpose} - {behavior} - {quarter} - {duration} - {date}'
      const made = await createAudience(client, behavior, accountId, { name: template, settings: { retentionDays: 30 } })
      expect(made.name).toMatch(/^Targeting - Comfort Seekers - Q[1-4] \d{4} - 30d - \d{4}-\d\d-\d\d$/)
      await waitRun(client, made.lastRun.id)
      const { externalId } = await client.get(`/v1/audiences/${made.id}`)
      const nameThere = async () => (await twin.state()).audiences.find(({ id }) => id === externalId)?.name
      expect(await nameThere()).toBe(made.name)

      const body = { behaviorId: behavior, destination: 'meta', accountId, name: made.name.toUpperCase(), start: false, minimumSize: 1 }
      const taken = await client.ask('POST', '/v1/audiences', body)
      expect(taken).toMatchObject({ status: 409, body: { code: 'name_taken', suggestion: `${made.name.toUpperCase()} (2)` } })
      expect((await client.ask('POST', '/v1/audiences', { ...body, name: taken.body.suggestion })).status).toBe(201)
      const unknown = await client.ask('POST', '/v1/audiences', { ...body, name: '{weather}' })
      expect(unknown).toMatchObject({ status: 400, body: { code: 'validation_failed' } })

      await client.ask('PATCH', `/v1/audiences/${made.id}`, { name: 'Another name' })
      const { lastRun } = await client.get(`/v1/audiences/${made.id}`)
      await waitRun(client, lastRun.id)
      expect(await nameThere()).toBe('Another name')
    })

    test('7 Names: a name that Meta flags is warned of, refused there with a reason, and mended by renaming', async () => {
      const { twin } = stage.system
      const { client, accountId } = await stage.tenant('flagged')
      const behavior = await createBehavior(client, 'flagged')
      await ingest(client, people(0, 3).map(customer))
      await members(client, behavior, people(0, 3).map(joins))
      const made = await createAudience(client, behavior, accountId, { name: 'People with diabetes' })
      expect(made.nameWarnings).toMatchObject([{ field: 'name', words: ['diabetes'], title: expect.any(String), solution: expect.any(String) }])
      const run = await waitRun(client, made.lastRun.id)
      expect(run).toMatchObject({ status: 'failed', error: { code: 'audience_flagged', solution: expect.any(String) }, counts: { accepted: 0 } })

      const renamed = await client.ask('PATCH', `/v1/audiences/${made.id}`, { name: 'Sweet tooth' })
      expect(renamed.body.nameWarnings).toEqual([])
      await waitRun(client, (await client.get(`/v1/audiences/${made.id}`)).lastRun.id)
      await waitRun(client, (await refresh(client, made.id)).id)
      const { externalId } = await client.get(`/v1/audiences/${made.id}`)
      expect(await farRows(twin, externalId)).toEqual(rowsOf(people(0, 3)))
    })
  })
}
