/** A customer's own server is told that a run is held, with what somebody needs to decide, and later that it is done. */
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { createAudience, createBehavior, ingest, type Json, members, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import { until } from '@audience-sync/testing/until'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Webhook } from 'standardwebhooks'
import { customer, farRows, joins, leaves, people, rowsOf } from './people.ts'
import type { Stage } from './stage.ts'

const SIZE = 30
const BRAKE = { sharePercent: 30, minimum: 10 }

export function webhooks(stage: Stage): void {
  describe('webhooks', () => {
    const got: { readonly headers: IncomingHttpHeaders; readonly body: string }[] = []
    const server = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      request.on('end', () => {
        got.push({ headers: request.headers, body })
        response.end()
      })
    })
    let url = ''
    let live: Awaited<ReturnType<typeof listen>> | undefined
    beforeAll(async () => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      url = `http://127.0.0.1:${(server.address() as { port: number }).port}/hooks`
    })
    afterAll(async () => {
      live?.stop()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    })

    test('a run that the brake holds is told with its figures; approved, its end is told, too; the reference library takes both', async () => {
      const { twin } = stage.system
      const { client, accountId, key } = await stage.tenant('webhooks')
      const stream = await listen(stage.system.url, key)
      live = stream
      const { id: endpointId, secret } = await client.post('/v1/webhook-endpoints', {
        url,
        eventTypes: ['audience.created', 'audience.status.changed', 'sync.completed'],
      })
      const told = (type: string, matches: (data: Json) => boolean) =>
        until(
          `${type} to be told`,
          () => {
            const heard = got.map(({ headers, body }) => new Webhook(secret).verify(body, headers as Record<string, string>) as Json)
            return heard.find((event) => event.type === type && matches(event.data))
          },
          { timeoutMs: 60_000 },
        )
      const behavior = await createBehavior(client, 'braked')
      const everybody = people(0, SIZE)
      await ingest(client, everybody.map(customer))
      await members(client, behavior, everybody.map(joins))
      const audience = await createAudience(client, behavior, accountId, { brake: BRAKE })
      await waitRun(client, audience.lastRun.id)
      await told('audience.created', (data) => data.audienceId === audience.id)
      const first = await told('sync.completed', (data) => data.runId === audience.lastRun.id)
      expect(first.data).toMatchObject({ audienceId: audience.id, status: 'completed', counts: { planned: SIZE, added: SIZE, removed: 0 }, reason: null })

      const gone = everybody.slice(0, SIZE - 5)
      await members(client, behavior, gone.map(leaves))
      const run = await refresh(client, audience.id)
      const held = await told('audience.status.changed', (data) => data.to === 'held')
      expect(held.data).toMatchObject({
        audienceId: audience.id,
        runId: run.id,
        reason: { code: 'audience_held', title: expect.any(String), solution: expect.any(String) },
        hold: { removals: gone.length, size: SIZE, before: 0, ...BRAKE },
      })
      const { externalId } = await client.get(`/v1/audiences/${audience.id}`)
      expect(await farRows(twin, externalId)).toEqual(rowsOf(everybody))

      await client.post(`/v1/audiences/${audience.id}/approve`)
      await waitRun(client, run.id)
      const done = await told('sync.completed', (data) => data.runId === run.id)
      expect(done.data).toMatchObject({ status: 'completed', counts: { removed: gone.length } })
      expect(await farRows(twin, externalId)).toEqual(rowsOf(everybody.slice(SIZE - 5)))
      for (const { body } of got)
        for (const { email, phone, customerId } of everybody)
          for (const secretOfTheirs of [email, phone, customerId]) expect(body).not.toContain(secretOfTheirs)

      await until('the stream to have told the same', () => got.every(({ body }) => stream.text().includes(`data: ${body}\n`)))
      await until('all of it to be written down as delivered', async () => {
        const { data } = await client.get(`/v1/webhook-endpoints/${endpointId}/deliveries?state=delivered`)
        expect(data[0].attempts).toMatchObject([{ status: 200, error: null }])
        const ids = new Set(data.map(({ id }: Json) => id))
        return got.every(({ headers }) => ids.has(headers['webhook-id']))
      })
    })
  })
}

/** The tenant's stream of events of the types that the endpoint hears, open until it is stopped. */
async function listen(url: string, key: string) {
  const stopping = new AbortController()
  const response = await fetch(`${url}/v1/events?types=audience.created,audience.status.changed,sync.completed`, {
    headers: { authorization: `Bearer ${key}` },
    signal: stopping.signal,
  })
  expect([response.status, response.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/event-stream')])
  let text = ''
  const decoder = new TextDecoder()
  void (async () => {
    for await (const piece of response.body as AsyncIterable<Uint8Array>) text += decoder.decode(piece, { stream: true })
  })().catch(() => {})
  return { text: () => text, stop: () => stopping.abort() }
}
