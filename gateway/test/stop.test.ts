import { PassThrough } from 'node:stream'
import { until } from '@audience-sync/testing/until'
import { expect, test } from '@jest/globals'
import { type AuditRow, firstBroken } from '../src/audit-chain.ts'
import { harness } from './harness.ts'

test('a stop answers what has begun, ends open streams and leaves no change without its audit row', async () => {
  let answer: (() => void) | undefined
  const gateway = await harness({
    routes: {
      audiences(app) {
        app.post('/v1/audiences', { config: { scope: 'audiences:write' } }, async () => {
          await new Promise<void>((resolve) => {
            answer = resolve
          })
          return { done: true }
        })
        app.get('/v1/runs/:id/stream', { config: { scope: 'audiences:read' } }, async (_request, reply) => {
          const events = new PassThrough()
          events.write('data: first\n\n')
          return reply.type('text/event-stream').send(events)
        })
      },
    },
  })
  const stream = await gateway.call('/v1/runs/run_1/stream')
  const change = gateway.call('/v1/audiences', { method: 'POST', body: '{}' })
  await until('the change to have begun', () => answer)
  const stopping = gateway.stopGateway()
  await expect(stream.text()).rejects.toThrow()
  answer?.()
  expect((await change).status).toBe(200)
  await stopping
  const rows = await gateway.database.admin<AuditRow>(
    `SELECT seq, at, actor, action, target, result, status, request_id AS "requestId", previous_hash AS "previousHash", hash, tenant_id AS "tenantId" FROM gateway.audit_log ORDER BY seq`,
  )
  expect(rows.map(({ action, target }) => `${action} ${target}`)).toContain('POST /v1/audiences')
  expect(firstBroken('0190de30-0000-7000-8000-000000000001', rows)).toBeUndefined()
  await gateway.stop()
})

test('fifty equal requests with one Idempotency-Key make one key', async () => {
  const gateway = await harness()
  const init = { method: 'POST', body: '{"name": "one", "scopes": ["audiences:read"]}', headers: { 'idempotency-key': 'storm' } }
  const answers = await Promise.all(
    Array.from({ length: 50 }, async () => (await gateway.call('/v1/api-keys', init)).json() as Promise<{ id?: string; code?: string; key?: string | null }>),
  )
  const made = answers.filter(({ id }) => id)
  expect(new Set(made.map(({ id }) => id)).size).toBe(1)
  expect(made.filter(({ key }) => key)).toHaveLength(1)
  // Or the database had no connection free for three seconds (F7): both say to come again.
  expect(answers.filter(({ id, code }) => !id && code !== 'idempotency_in_flight' && code !== 'service_unavailable')).toEqual([])
  expect(await gateway.database.admin('SELECT 1 FROM gateway.api_key')).toHaveLength(1)
  await gateway.stop()
})
