/** What goes wrong at the platform while we work: it is said with its code, and nothing that was to be said is lost. */

import { comeBack, createAudience, createBehavior, ingest, type Json, members, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import { until } from '@audience-sync/testing/until'
import { describe, expect, test } from '@jest/globals'
import { customer, farRows, joins, lastSeq, people, rowsOf, uploads } from './people.ts'
import type { Stage } from './stage.ts'

const SIZE = 20

export function trouble(stage: Stage): void {
  /** An audience in step, and ten more people who joined since. */
  const filled = async (slug: string) => {
    const tenant = await stage.tenant(slug)
    const { client, accountId } = tenant
    const behavior = await createBehavior(client, slug)
    await ingest(client, people(0, SIZE + 10).map(customer))
    await members(client, behavior, people(0, SIZE).map(joins))
    const made = await createAudience(client, behavior, accountId)
    await waitRun(client, made.lastRun.id)
    await members(client, behavior, people(SIZE, SIZE + 10).map(joins))
    const audience = await client.get(`/v1/audiences/${made.id}`)
    return { ...tenant, behavior, audienceId: made.id as string, externalId: audience.externalId as string }
  }

  describe('trouble at the platform', () => {
    test('a token that dies in the middle of a run stops it until somebody reconnects; then it goes on and loses nobody', async () => {
      const { twin } = stage.system
      const { client, audienceId, externalId, connection } = await filled('dead-token')
      await twin.fault({ match: { method: 'POST', path: `${externalId}/users` }, kind: 'expire_token' })
      const asked = await refresh(client, audienceId)
      await waitRun(client, asked.id, ['waiting'])
      const stopped = await until('the audience says so', async () => {
        const now = await client.get(`/v1/audiences/${audienceId}`)
        return now.status === 'error' && now
      })
      expect(stopped.statusReason).toMatchObject({ code: 'connection_expired', solution: expect.any(String) })
      expect((await client.get(`/v1/connections/${connection.connectionId}`)).status).toBe('expired')

      const { authorizeUrl } = await client.post(`/v1/connections/${connection.connectionId}/reconnect`, { returnUrl: 'http://127.0.0.1/done' })
      const back = await comeBack(await twin.authorize(authorizeUrl))
      expect(back.searchParams.get('status')).toBe('active')
      expect(await waitRun(client, asked.id)).toMatchObject({ status: 'completed', counts: { planned: 10, accepted: 10, unknown: 0, failed: 0 } })
      expect(await farRows(twin, externalId)).toEqual(rowsOf(people(0, SIZE + 10)))
    })

    test('an audience that somebody deleted at Meta fails the run with audience_missing, and its owner is asked', async () => {
      const { twin } = stage.system
      const { client, audienceId, externalId } = await filled('deleted-there')
      await twin.deleteAudience(externalId)
      const run = await waitRun(client, (await refresh(client, audienceId)).id)
      expect(run).toMatchObject({ status: 'failed', error: { code: 'audience_missing' }, counts: { accepted: 0 } })
      expect(await client.get(`/v1/audiences/${audienceId}`)).toMatchObject({ status: 'held', statusReason: { code: 'audience_missing' } })
    })

    test('an answer that is lost after the work was done is asked for again with the same bytes', async () => {
      const { twin } = stage.system
      const { client, audienceId, externalId } = await filled('lost-answer')
      const seq = await lastSeq(twin)
      await twin.fault({ match: { method: 'POST', path: `${externalId}/users` }, kind: 'apply_then_reset' })
      const run = await waitRun(client, (await refresh(client, audienceId)).id)
      expect(run).toMatchObject({ status: 'completed', counts: { planned: 10, added: 10, unknown: 0 } })
      const sent = (await twin.journal(seq)).filter(({ method, path }) => method === 'POST' && path.includes(`${externalId}/users`))
      expect(sent).toHaveLength(2)
      expect(sent[0]?.body).toEqual(sent[1]?.body)
      expect(await farRows(twin, externalId)).toEqual(rowsOf(people(0, SIZE + 10)))
    })

    test('rows that the platform refuses are listed with their reason, and all others are there', async () => {
      const { twin } = stage.system
      const { client, audienceId, externalId } = await filled('refused-rows')
      await twin.fault({ match: { method: 'POST', path: `${externalId}/users` }, kind: 'reject_rows', rows: 2 })
      const run = await waitRun(client, (await refresh(client, audienceId)).id)
      expect(run).toMatchObject({ status: 'completed_with_rejections', counts: { planned: 10, added: 8, rejected: 2 } })
      const { data } = await client.get(`/v1/runs/${run.id}/rejections`)
      expect(data).toHaveLength(2)
      const refused = new Set(data.map(({ customerId }: Json) => customerId))
      expect(data[0]).toMatchObject({ code: 'platform_rejected_row', operation: 'add', title: expect.any(String), solution: expect.any(String) })
      expect(await farRows(twin, externalId)).toEqual(rowsOf(people(0, SIZE + 10).filter(({ customerId }) => !refused.has(customerId))))
      expect((await uploads(twin, externalId)).length).toBeGreaterThan(0)
    })
  })
}
