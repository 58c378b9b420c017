import { readdirSync, readFileSync } from 'node:fs'
import type { Database, Tx } from '@audience-sync/db/database'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { until } from '@audience-sync/testing/until'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { z } from 'zod'
import { type App, buildApp } from '../src/app.ts'
import { idempotent, startIdempotencySweep, sweepIdempotency } from '../src/idempotency.ts'
import { createLogger } from '../src/log.ts'
import { generateServiceTokens } from '../src/tokens.ts'

const [ANN, BEN] = ['01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d', '01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9e']
const log = createLogger({ name: 'test', level: 'silent' })

let database: TestDatabase
let db: Database
let app: App
let tokens: Awaited<ReturnType<typeof generateServiceTokens<'gateway' | 'scheduler'>>>
let effects: number
/** What the work of POST /v1/things does besides counting. */
let meanwhile: (tx: Tx) => Promise<unknown>

beforeAll(async () => {
  database = await testDatabase()
  db = database.as('scheduler')
  tokens = await generateServiceTokens(['gateway', 'scheduler'])
  app = await buildApp({ name: 'scheduler', log, tokens: tokens.scheduler })
  const schema = { body: z.unknown(), response: { 202: z.object({ effect: z.int() }), 204: z.undefined() } }
  const config = { scope: 'audiences:write' as const }
  app.post('/v1/things/:id', { config, schema }, (request, reply) =>
    idempotent(db, request, reply, async (tx) => {
      await meanwhile(tx)
      effects += 1
      return { status: 202, body: { effect: effects, hidden: 'x' } }
    }),
  )
  app.post('/v1/quiet', { config, schema }, (request, reply) =>
    idempotent(db, request, reply, async () => {
      effects += 1
      return { status: 204, body: undefined }
    }),
  )
})
afterAll(async () => {
  await app.close()
  await database.drop()
})
beforeEach(async () => {
  effects = 0
  meanwhile = async () => {}
  await database.admin('TRUNCATE scheduler.idempotency')
})

async function post({
  key,
  body = { a: 1, b: { c: 2, d: 3 } },
  url = '/v1/things/1',
  tenant = ANN,
}: {
  key?: string
  body?: unknown
  url?: string
  tenant?: string
}) {
  const token = await tokens.gateway.sign('scheduler', { tenantId: tenant, subject: 'key_1', scopes: ['audiences:write'] })
  const answer = await app.inject({
    method: 'POST',
    url,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...(key !== undefined && { 'idempotency-key': key }) },
    payload: JSON.stringify(body),
  })
  return { status: answer.statusCode, body: answer.body, type: answer.headers['content-type'] }
}
const codeOf = ({ body }: { body: string }) => (JSON.parse(body) as { code?: string }).code

describe('a request with an Idempotency-Key', () => {
  test('has one effect and one answer, however many come at once', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => post({ key: 'storm' })))
    expect(effects).toBe(1)
    const good = answers.filter(({ status }) => status === 202)
    expect(new Set(good.map(({ body }) => body))).toEqual(new Set(['{"effect":1}']))
    expect(good.length).toBeGreaterThan(0)
    for (const other of answers.filter(({ status }) => status !== 202)) expect([other.status, codeOf(other)]).toEqual([409, 'idempotency_in_flight'])
    expect(await post({ key: 'storm' })).toEqual({ status: 202, body: '{"effect":1}', type: 'application/json; charset=utf-8' })
    expect(effects).toBe(1)
  })

  test('is told to wait while the first one runs', async () => {
    let release = () => {}
    let running = false
    meanwhile = () =>
      new Promise<void>((resolve) => {
        running = true
        release = resolve
      })
    const first = post({ key: 'slow' })
    await until('the first one runs', () => running)
    expect(codeOf(await post({ key: 'slow' }))).toBe('idempotency_in_flight')
    release()
    expect(await first).toMatchObject({ status: 202, body: '{"effect":1}' })
  })

  test('is the same request in whatever order its members come', async () => {
    await post({ key: 'order', body: { a: 1, b: { c: 2, d: 3 } } })
    expect(await post({ key: 'order', body: { b: { d: 3, c: 2 }, a: 1 } })).toMatchObject({ status: 202, body: '{"effect":1}' })
  })

  test('is refused with another body, another path or another query', async () => {
    await post({ key: 'used' })
    for (const other of [{ body: { a: 2 } }, { url: '/v1/things/2' }, { url: '/v1/things/1?mode=full' }]) {
      const answer = await post({ key: 'used', ...other })
      expect([answer.status, codeOf(answer)]).toEqual([422, 'idempotency_key_reused'])
    }
    expect(effects).toBe(1)
  })

  test('does not meet the keys of another tenant or another route', async () => {
    await post({ key: 'mine' })
    expect(await post({ key: 'mine', tenant: BEN })).toMatchObject({ body: '{"effect":2}' })
    expect(await post({ key: 'mine', url: '/v1/quiet' })).toMatchObject({ status: 204, body: '' })
    expect(effects).toBe(3)
  })

  test('repeats an empty answer too', async () => {
    await post({ key: 'quiet', url: '/v1/quiet' })
    expect(await post({ key: 'quiet', url: '/v1/quiet' })).toMatchObject({ status: 204, body: '' })
    expect(effects).toBe(1)
  })

  test('that failed leaves nothing, and may be tried again', async () => {
    meanwhile = async (tx) => {
      await tx.query('CREATE TEMPORARY TABLE half_done (a int) ON COMMIT DROP')
      throw new Error('on purpose')
    }
    expect(await post({ key: 'again' })).toMatchObject({ status: 500 })
    meanwhile = async () => {}
    expect(await post({ key: 'again' })).toMatchObject({ status: 202, body: '{"effect":1}' })
  })

  test.each(['', 'a b', 'ü', 'x'.repeat(256)])('is refused when the key is %p', async (key) => {
    expect(codeOf(await post({ key }))).toBe('validation_failed')
    expect(effects).toBe(0)
  })
})

test('without a key each request has its effect', async () => {
  expect([(await post({})).body, (await post({})).body]).toEqual(['{"effect":1}', '{"effect":2}'])
  expect(await database.admin('SELECT FROM scheduler.idempotency')).toEqual([])
})

describe('after a day', () => {
  const age = (key: string, hours: number) =>
    database.admin(`UPDATE scheduler.idempotency SET created_at = now() - make_interval(hours => ${hours}) WHERE key = '${key}'`)

  test('a key is new again', async () => {
    await post({ key: 'old' })
    await age('old', 25)
    expect(await post({ key: 'old', body: { another: true } })).toMatchObject({ status: 202, body: '{"effect":2}' })
    expect(await post({ key: 'old', body: { another: true } })).toMatchObject({ body: '{"effect":2}' })
  })

  test('the sweep forgets the answers of all tenants, and not a minute earlier', async () => {
    for (const key of ['old', 'young']) for (const tenant of [ANN, BEN]) await post({ key, tenant })
    await age('old', 25)
    await age('young', 23)
    expect(await sweepIdempotency(db)).toBe(2)
    expect(await database.admin('SELECT DISTINCT key FROM scheduler.idempotency')).toEqual([{ key: 'young' }])
    await age('young', 25)
    const sweep = startIdempotencySweep(db, log)
    await until('the loop has swept', async () => (await database.admin('SELECT FROM scheduler.idempotency')).length === 0)
    await sweep.stop()
  })

  test('no tenant sees another’s answers, expired or not', async () => {
    await post({ key: 'old', tenant: BEN })
    await age('old', 25)
    const seen = await db.tenant(ANN, async (tx) => (await tx.query('SELECT FROM idempotency')).rowCount)
    expect(seen).toBe(0)
  })
})

test('every service that answers requests may write its own table, under forced row-level security', async () => {
  const tables = await database.admin<{ schema: string; forced: boolean; role: string; ok: boolean }>(
    `SELECT n.nspname AS schema, c.relforcerowsecurity AS forced, r.role, has_table_privilege(r.role, c.oid, 'INSERT') AS ok
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL (SELECT CASE n.nspname WHEN 'sync' THEN 'audiences' ELSE n.nspname::text END AS role) r
     WHERE c.relname = 'idempotency' ORDER BY 1`,
  )
  expect(tables.map(({ schema }) => schema)).toEqual(['behavior_export', 'connections', 'gateway', 'scheduler', 'sync', 'webhooks'])
  expect(tables.every(({ forced, ok }) => forced && ok)).toBe(true)
})

test('every program that repeats answers also forgets them', () => {
  const root = new URL('../../../', import.meta.url)
  const programs = ['gateway', ...readdirSync(new URL('services/', root)).map((name) => `services/${name}`)]
  const sources = programs.map((name) => {
    const folder = new URL(`${name}/src/`, root)
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
    return { name, text: files.map((file) => readFileSync(new URL(file, folder), 'utf8')).join('') }
  })
  const repeating = sources.filter(({ text }) => text.includes('idempotent('))
  expect(repeating.length).toBeGreaterThan(3)
  expect(repeating.filter(({ text }) => !/(startIdempotencySweep|sweepIdempotency)\(/.test(text)).map(({ name }) => name)).toEqual([])
})
