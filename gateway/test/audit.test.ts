import { createLogger } from '@audience-sync/service/log'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { until } from '@audience-sync/testing/until'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type AuditRow, firstBroken } from '../src/audit-chain.ts'
import { append, auditLog } from '../src/audit-log.ts'

const TENANT = '01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d'
let database: TestDatabase
let logged = ''
const write = (line: string) => {
  logged += line
}
const log = createLogger({ name: 'gateway', destination: { write } })
beforeAll(async () => {
  database = await testDatabase()
})
afterAll(() => database.drop())

const event = (n: number) => ({ actor: 'bootstrap', action: 'POST', target: '/v1/audiences', result: 'ok' as const, status: 201, requestId: `req_${n}` })
const stored = (tenantId = TENANT) =>
  database.admin<AuditRow & { seq: number }>(
    `SELECT seq, at, actor, action, target, result, status, request_id AS "requestId", previous_hash AS "previousHash", hash FROM gateway.audit_log WHERE tenant_id = $1 ORDER BY seq`,
    [tenantId],
  )

test('pods that write at once make one chain without a gap, and it verifies', async () => {
  const db = database.as('gateway', 8)
  const pods = [1, 2, 3, 4].map(() => auditLog(db, log))
  for (let n = 0; n < 200; n += 1) pods[n % 4]?.record(TENANT, event(n))
  await Promise.all(pods.map((pod) => pod.stop()))
  const rows = await stored()
  expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1))
  expect(firstBroken(TENANT, rows)).toBeUndefined()
  expect(new Set(rows.map(({ requestId }) => requestId)).size).toBe(200)
})

test('nobody changes, removes or forges a row: not the service, not the owner', async () => {
  const db = database.as('gateway', 1)
  const attempts = ['UPDATE audit_log SET actor = $$x$$', 'DELETE FROM audit_log', 'TRUNCATE audit_log']
  for (const sql of attempts) await expect(db.tenant(TENANT, (tx) => tx.query(sql))).rejects.toMatchObject({ code: '42501' })
  for (const sql of attempts) await expect(database.admin(sql.replace('audit_log', 'gateway.audit_log'))).rejects.toMatchObject({ code: '42501' })
  const forged = `INSERT INTO audit_log (tenant_id, seq, at, actor, action, target, result, status, request_id, previous_hash, hash)
    SELECT tenant_id, 500, at, actor, action, target, result, status, request_id, previous_hash, hash FROM audit_log LIMIT 1`
  await expect(db.tenant(TENANT, (tx) => tx.query(forged))).rejects.toMatchObject({ code: '40001' })
})

test('a tenant sees its own chain and no other', async () => {
  const db = database.as('gateway', 1)
  const other = '01932f1c-7a4e-7cc1-9b1f-000000000002'
  await db.tenant(other, (tx) => append(tx, other, [{ ...event(1), at: new Date() }]))
  const { rows } = await db.tenant(other, (tx) => tx.query('SELECT DISTINCT tenant_id FROM audit_log'))
  expect(rows).toEqual([{ tenant_id: other }])
  await expect(db.tenant(other, (tx) => append(tx, TENANT, [{ ...event(1), at: new Date() }]))).rejects.toBeDefined()
})

test('while the database is away entries are kept, changes are held back when the queue is full, and all is written later', async () => {
  const tenantId = '01932f1c-7a4e-7cc1-9b1f-000000000003'
  const db = database.as('gateway', 2)
  let away = true
  const flaky = {
    ...db,
    tenant: ((id, fn) => (away ? Promise.reject(Object.assign(new Error('away'), { code: '57P01' })) : db.tenant(id, fn))) as typeof db.tenant,
  }
  const audit = auditLog(flaky, log, 3)
  for (let n = 0; n < 3; n += 1) audit.record(tenantId, event(n))
  await expect(audit.room()).rejects.toMatchObject({ code: 'service_unavailable' })
  const waiting = audit.room()
  away = false
  await audit.flush()
  await waiting
  await until('the rows', async () => (await stored(tenantId)).length === 3)
  away = true
  audit.record(tenantId, event(99))
  await audit.stop()
  expect(logged).toContain('audit entry could not be written')
  expect(logged).toContain('req_99')
})
