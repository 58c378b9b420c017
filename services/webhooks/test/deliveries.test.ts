/** What becomes of an event: told once, under one id, until it is taken; and what a receiver's answers do. */
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import { until } from '@audience-sync/testing/until'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { Webhook } from 'standardwebhooks'
import { replay } from '../src/deliveries.ts'
import { patchEndpoint, rotateSecret } from '../src/endpoints.ts'
import { forget } from '../src/housekeeping.ts'
import type { Poster } from '../src/post.ts'
import { reseal } from '../src/reseal.ts'
import { newSecret } from '../src/sign.ts'
import { held, type Received, type Rig, rig } from './rig.ts'

let at: Rig
beforeAll(async () => {
  at = await rig()
})
afterAll(() => at.close())
beforeEach(() => at.database.admin('TRUNCATE webhooks.endpoint, webhooks.event CASCADE'))

const verified = (secret: string, { body, headers }: Received) => new Webhook(secret).verify(body, headers as Record<string, string>)
/** What is left of a pause, of which the test itself takes some. */
const about = (seconds: number, within: number) => expect.closeTo(seconds, -Math.log10(2 * within))
const inTenant = <T>(fn: Parameters<typeof at.db.tenant<T>>[1]) => at.db.tenant(at.tenantId, fn)

test('an event becomes one delivery per endpoint that listens to it, signed so that the reference library takes it', async () => {
  const [all, some, other] = await Promise.all([at.receiver(), at.receiver(), at.receiver()])
  const first = await at.endpoint(all.url)
  await at.endpoint(some.url, ['audience.status.changed', 'sync.failed'])
  await at.endpoint(other.url, ['sync.failed'])
  const audienceId = publicId('audience', newUuid())
  const id = newUuid()
  await at.handIn('audience.status.changed', held(audienceId), id)
  await at.handIn('audience.status.changed', held(audienceId), id) // I3: again, as if the inbox had forgotten
  await at.drain(at.worker())
  expect([all.got.length, some.got.length, other.got.length]).toEqual([1, 1, 0])
  expect(verified(first.secret, all.got[0] as Received)).toEqual({
    type: 'audience.status.changed',
    timestamp: expect.stringMatching(/Z$/),
    data: {
      audienceId,
      from: 'syncing',
      to: 'held',
      reason: { code: 'audience_held', title: expect.any(String), solution: expect.any(String) },
      runId: expect.stringMatching(/^run_/),
      hold: { removals: 400, size: 1_000, before: 0, sharePercent: 30, minimum: 100 },
    },
  })
  expect(all.got[0]?.id).toMatch(/^msg_[0-9a-f-]{36}$/)
  expect(all.got[0]?.id).not.toBe(some.got[0]?.id)
})

test('another tenant’s endpoint hears nothing', async () => {
  const receiver = await at.receiver()
  await at.endpoint(receiver.url)
  await at.handIn('audience.status.changed', held(publicId('audience', newUuid())), newUuid(), newUuid())
  await at.drain(at.worker())
  expect(receiver.got).toEqual([])
})

describe('failures', () => {
  test('are tried again by the schedule, with the same id and bytes, a new time and signature', async () => {
    const receiver = await at.receiver()
    receiver.answer = () => ({ status: receiver.got.length < 3 ? 500 : 200 })
    const { id, secret } = await at.endpoint(receiver.url)
    await at.happens()
    const worker = at.worker()
    await at.drain(worker)
    expect(await at.deliveries(id)).toMatchObject([{ state: 'waiting', tries: 1, wait: about(5, 5) }])
    await at.pass('5 seconds')
    await at.drain(worker)
    expect(await at.deliveries(id)).toMatchObject([{ state: 'waiting', tries: 2, wait: about(300, 50) }])
    await at.pass('5 minutes')
    await until('a second has gone by', () => Math.floor(Date.now() / 1_000) > (receiver.got[0]?.at ?? 0))
    await at.drain(worker)
    expect(await at.deliveries(id)).toMatchObject([{ state: 'delivered', tries: 3, wait: null }])
    const [one, , three] = receiver.got as [Received, Received, Received]
    expect([three.id, three.body]).toEqual([one.id, one.body])
    expect(three.at).toBeGreaterThan(one.at)
    expect(three.headers['webhook-signature']).not.toBe(one.headers['webhook-signature'])
    for (const received of receiver.got) verified(secret, received)
    expect((await at.endpointRow(id)).failing_since).toBeNull()
  })

  test('410 disables the endpoint at once; the tenant’s others are told why; enabled again, what waited can be replayed', async () => {
    const [gone, other] = await Promise.all([at.receiver(), at.receiver()])
    const { id } = await at.endpoint(gone.url)
    gone.answer = () => ({ status: 503 })
    await at.happens()
    const worker = at.worker()
    await at.drain(worker)
    await at.endpoint(other.url, ['webhook_endpoint.disabled'])
    gone.answer = () => ({ status: 410 })
    await at.happens()
    await at.drain(worker)
    expect(await at.endpointRow(id)).toMatchObject({ status: 'disabled', status_code: 'webhook_endpoint_gone', due_at: null })
    expect((await at.deliveries(id)).map(({ state }) => state)).toEqual(['skipped', 'skipped'])
    expect(other.got.map(({ body }) => JSON.parse(body))).toMatchObject([
      { type: 'webhook_endpoint.disabled', data: { endpointId: publicId('webhookEndpoint', id), reason: { code: 'webhook_endpoint_gone' } } },
    ])
    await at.happens() // while it is disabled
    await expect(inTenant((tx) => replay(tx, id, {}))).rejects.toMatchObject({ code: 'webhook_endpoint_disabled' })

    gone.answer = () => ({ status: 200 })
    await inTenant((tx) => patchEndpoint(tx, id, { enabled: true }))
    const before = gone.got.length
    await at.drain(worker)
    expect(gone.got).toHaveLength(before)
    expect(await inTenant((tx) => replay(tx, id, {}))).toBe(3)
    await at.drain(worker)
    expect((await at.deliveries(id)).map(({ state }) => state)).toEqual(['delivered', 'delivered', 'delivered'])
  })

  test.each([429, 502, 504])('%i pauses the endpoint: nothing else is sent to it for a while', async (status) => {
    const receiver = await at.receiver()
    receiver.answer = () => ({ status })
    const { id } = await at.endpoint(receiver.url)
    await at.happens()
    const worker = at.worker()
    await at.drain(worker)
    await at.happens()
    await at.drain(worker)
    expect(receiver.got).toHaveLength(1)
    receiver.answer = () => ({ status: 200 })
    await at.pass('31 seconds')
    await at.drain(worker)
    expect((await at.deliveries(id)).map(({ state }) => state)).toEqual(['delivered', 'delivered'])
  })

  test('Retry-After is waited for, by this delivery and by all others of the endpoint', async () => {
    const receiver = await at.receiver()
    receiver.answer = () => ({ status: 503, headers: { 'retry-after': '7200' } })
    const { id } = await at.endpoint(receiver.url)
    await at.happens()
    const worker = at.worker()
    await at.drain(worker)
    expect(await at.deliveries(id)).toMatchObject([{ state: 'waiting', wait: about(7_200, 50) }])
    await at.happens()
    await at.pass('119 minutes')
    await at.drain(worker)
    expect(receiver.got).toHaveLength(1)
  })
})

describe('secrets', () => {
  test('after a rotation both sign for 24 hours, then the new one alone', async () => {
    const receiver = await at.receiver()
    const { id, secret: old } = await at.endpoint(receiver.url)
    const fresh = newSecret()
    const seal = await at.secrets.sealer(at.tenantId)
    await inTenant((tx) => rotateSecret(tx, id, seal(id, fresh)))
    await at.happens()
    const worker = at.worker()
    await at.drain(worker)
    const [during] = receiver.got as [Received]
    verified(old, during)
    verified(fresh, during)
    await at.pass('25 hours')
    await forget(at.db)
    await at.happens()
    await at.drain(worker)
    const after = receiver.got[1] as Received
    verified(fresh, after)
    expect(() => verified(old, after)).toThrow()
    expect((await at.endpointRow(id)).old_secret).toBeNull()
  })

  test('outlive the key that they are sealed with: sealed anew, then the old key opens nothing more', async () => {
    const receiver = await at.receiver()
    const { id, secret } = await at.endpoint(receiver.url)
    const sealed = async () => (await at.endpointRow(id)).secret as string
    const before = await sealed()
    await at.deks.rotate(at.tenantId)
    expect(await reseal(at.db, at.deks, at.secrets)).toBe(0) // other processes may still seal with the old one
    await at.database.admin(`UPDATE webhooks.dek SET superseded_at = superseded_at - interval '11 minutes'`)
    expect(await reseal(at.db, at.deks, at.secrets)).toBe(1)
    expect(await reseal(at.db, at.deks, at.secrets)).toBe(0)
    expect(await sealed()).not.toBe(before)
    await at.happens()
    await at.drain(at.worker())
    verified(secret, receiver.got[0] as Received)
    await expect(inTenant((tx) => at.secrets.open(tx, at.tenantId, id, before))).rejects.toThrow('retired')
  })

  test('stand nowhere in the clear', async () => {
    const { id, secret } = await at.endpoint('http://127.0.0.1:1/')
    expect(JSON.stringify(await at.endpointRow(id))).not.toContain(secret.slice(6, 30))
  })
})

describe('several workers', () => {
  test('two never send the same attempt, and an endpoint has four requests at once at most', async () => {
    const receiver = await at.receiver()
    const { id } = await at.endpoint(receiver.url)
    for (let n = 0; n < 60; n += 1) await at.happens()
    let open = 0
    let most = 0
    const counting: Poster = {
      ...at.poster,
      async post(...args) {
        most = Math.max(most, ++open)
        try {
          return await at.poster.post(...args)
        } finally {
          open -= 1
        }
      },
    }
    await at.drain(at.worker(counting), at.worker(counting), at.worker(counting))
    expect(receiver.got).toHaveLength(60)
    expect(new Set(receiver.got.map((one) => one.id)).size).toBe(60)
    expect(most).toBeLessThanOrEqual(4)
    expect((await at.deliveries(id)).every(({ state, attempts }) => state === 'delivered' && attempts === 1)).toBe(true)
  })

  test('one that was killed in the middle holds nothing longer than its lease', async () => {
    const receiver = await at.receiver()
    const { id } = await at.endpoint(receiver.url)
    await at.happens()
    const begun = Promise.withResolvers<void>()
    const dead = at.worker({
      ...at.poster,
      post() {
        begun.resolve()
        return new Promise(() => {})
      },
    })
    dead.stop = async () => {} // it never ends
    await dead.round()
    await begun.promise
    const other = at.worker()
    await other.round()
    expect(receiver.got).toEqual([])
    await at.pass('61 seconds')
    await at.drain(other)
    expect(receiver.got).toHaveLength(1)
    expect(await at.deliveries(id)).toMatchObject([{ state: 'delivered', attempts: 1 }])
  })

  test('one endpoint that never answers does not keep the others waiting', async () => {
    const dead = await at.receiver()
    dead.answer = () => null
    await at.endpoint(dead.url, ['sync.completed', 'webhook_endpoint.test'])
    const others = await Promise.all(Array.from({ length: 8 }, () => at.receiver()))
    for (const { url } of others) await at.endpoint(url)
    for (let n = 0; n < 10; n += 1) await at.happens()
    const worker = at.worker()
    const start = performance.now()
    await until('all others are told', async () => {
      await worker.round()
      return others.every(({ got }) => got.length === 10)
    })
    expect(performance.now() - start).toBeLessThan(15_000) // the dead one's first attempt alone takes 20 s
    expect(dead.got.length).toBeLessThanOrEqual(4)
    await dead.stop()
    await worker.stop()
  })
})

test('after 30 days an event is forgotten, with its deliveries and attempts', async () => {
  const receiver = await at.receiver()
  const { id } = await at.endpoint(receiver.url)
  await at.happens()
  await at.drain(at.worker())
  await at.pass('29 days')
  await forget(at.db)
  expect(await at.deliveries(id)).toHaveLength(1)
  await at.pass('25 hours')
  await forget(at.db)
  expect(await at.deliveries(id)).toEqual([])
  expect(await at.database.admin(`SELECT FROM webhooks.event`)).toEqual([])
  expect(await at.database.admin(`SELECT FROM webhooks.attempt`)).toEqual([])
})
