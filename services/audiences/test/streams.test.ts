/** Runs as they move, and refusals in bulk. */
import { publicId } from '@audience-sync/contracts/ids'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Around, startAround } from './around-engine.ts'

let around: Around
beforeAll(async () => {
  around = await startAround()
})
afterAll(() => around.close())

const get = async (path: string, headers: Record<string, string> = {}) =>
  fetch(`${around.url}${path}`, { headers: { authorization: `Bearer ${await around.token()}`, ...headers } })

describe('the stream of a run', () => {
  test('tells the run as it is and as it becomes, and ends with it', async () => {
    const { world } = around
    world.behavior.join(1)
    const runId = publicId('run', (await world.run(await world.request())).id as string)
    const answer = await get(`/v1/runs/${runId}/stream`)
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    const [events] = await Promise.all([answer.text(), world.work().then(() => world.settle())])
    const runs = [...events.matchAll(/^event: run\ndata: (.+)$/gm)].map(([, data]) => JSON.parse(data ?? ''))
    expect(runs[0]).toMatchObject({ id: runId, status: 'queued' })
    expect(runs.at(-1)).toMatchObject({ status: 'completed', counts: { added: 1, applied: 1 } })
    expect(events.endsWith('event: end\ndata: {}\n\n')).toBe(true)
  })

  test('does not keep the service from stopping', async () => {
    const other = await startAround()
    const runId = publicId('run', (await other.world.run(await other.world.request())).id as string)
    const answer = await fetch(`${other.url}/v1/runs/${runId}/stream`, { headers: { authorization: `Bearer ${await other.token()}` } })
    const before = performance.now()
    await Promise.all([answer.text(), other.close()])
    expect(performance.now() - before).toBeLessThan(20_000) // by itself it would go on for an hour
  })

  test('of an unknown run is a problem, and no stream', async () => {
    const answer = await get(`/v1/runs/${publicId('run', '01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d')}/stream`)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([404, expect.stringContaining('application/problem+json')])
  })
})

describe('rejections', () => {
  test('are filtered by reason, exported whole, and say how often and when they are tried', async () => {
    const { database } = around.world
    const runNo = await around.world.request()
    const runId = publicId('run', (await around.world.run(runNo)).id as string)
    await database.admin(
      `WITH r AS (INSERT INTO sync.rejection (run_no, customer_no, audience_no, tenant_no, destination_no, operation, code, attempts)
         SELECT $1, n, a.no, a.tenant_no, a.destination_no, 'add', CASE WHEN n % 2 = 0 THEN 'platform_rejected_row' ELSE 'email_malformed' END, 1 + n % 5
         FROM sync.audience a, generate_series(1, 2500) AS n RETURNING *)
       INSERT INTO sync.todo (customer_no, audience_no, tenant_no, destination_no, reason, attempts, not_before)
       SELECT customer_no, audience_no, tenant_no, destination_no, 'rejected', attempts, CASE WHEN attempts = 5 THEN 'infinity'::timestamptz ELSE now() END FROM r WHERE customer_no <= 4`,
      [runNo],
    )
    const page = await around.call('GET', `/v1/runs/${runId}/rejections?limit=5`)
    expect(page.body.data.map((one: Record<string, unknown>) => [one.customerId, one.attempts, one.attemptsAtMost, one.nextAttempt !== null])).toEqual([
      ['c_1', 2, 5, true],
      ['c_2', 3, 5, true],
      ['c_3', 4, 5, true],
      ['c_4', 5, 5, false],
      ['c_5', 1, 5, false],
    ])
    const next = await around.call('GET', `/v1/runs/${runId}/rejections?limit=2&cursor=${page.body.nextCursor}&code=platform_rejected_row`)
    expect(next.body.data.map(({ customerId, code }: Record<string, string>) => [customerId, code])).toEqual([
      ['c_6', 'platform_rejected_row'],
      ['c_8', 'platform_rejected_row'],
    ])
    const exported = await get(`/v1/runs/${runId}/rejections?code=platform_rejected_row`, { accept: 'application/x-ndjson' })
    expect(exported.headers.get('content-type')).toBe('application/x-ndjson')
    const lines = (await exported.text()).trimEnd().split('\n')
    expect(lines).toHaveLength(1_250)
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ customerId: 'c_2500', code: 'platform_rejected_row', attempts: 1 })
  })
})
