import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { uuidOf } from '@audience-sync/contracts/ids'
import { until } from '@audience-sync/testing/until'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { type Harness, KEK, newTenant, startHarness } from './harness.ts'
import type { Work } from './refresh-worker.ts'

let h: Harness
const workers: ChildProcess[] = []
beforeAll(async () => {
  h = await startHarness()
})
afterEach(() => {
  for (const worker of workers.splice(0)) worker.kill('SIGKILL')
  h.far.beforeRefreshAnswer = async () => {}
})
afterAll(() => h.stop())

const heard = <T>(worker: ChildProcess) => new Promise<T>((resolve) => worker.once('message', (message) => resolve(message as T)))

async function startWorker(tenantId: string, accountId: string, callers: number): Promise<ChildProcess> {
  const work: Work = {
    databaseUrl: h.database.url('connections'),
    kek: KEK,
    farUrl: h.far.url,
    tenantId,
    accountId: uuidOf('account', accountId) ?? '',
    callers,
  }
  const worker = fork(fileURLToPath(new URL('./refresh-worker.ts', import.meta.url)), [JSON.stringify(work)], {
    execArgv: ['--conditions=@audience-sync/source', '--disable-warning=ExperimentalWarning'],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  workers.push(worker)
  expect(await heard(worker)).toBe('ready')
  return worker
}

const makeDue = (tenantId: string) => h.database.admin('UPDATE connections.credential SET renew_at = now() WHERE tenant_id = $1', [tenantId])
const refreshes = () => h.far.journal.filter(({ grant, status }) => grant === 'refresh_token' && status === 200).length
const credentialRow = async (tenantId: string) => (await h.database.admin('SELECT * FROM connections.credential WHERE tenant_id = $1', [tenantId]))[0]

// PROFILE=full is the shape of RELIABILITY.md P11: some minutes of a whole machine.
const [CREW, ROUNDS] = process.env.PROFILE === 'full' ? [8, 200] : [4, 12]

test(
  `${CREW} processes with fifty callers each renew once a round, in ${ROUNDS} rounds, and the provider never sees a reuse`,
  async () => {
    const tenant = newTenant()
    const { accountId } = await h.connect(tenant)
    const crew = await Promise.all(Array.from({ length: CREW }, () => startWorker(tenant, accountId, 50)))
    const [before, revokedBefore] = [refreshes(), h.far.revokedFamilies()]
    const seen = new Set<string>()
    for (let round = 1; round <= ROUNDS; round += 1) {
      await makeDue(tenant)
      const answers = Promise.all(crew.map((worker) => heard<string[]>(worker)))
      for (const worker of crew) worker.send('go')
      const tokens = new Set((await answers).flat())
      expect([...tokens]).toEqual([expect.stringMatching(new RegExp(`^${round + 1}:`))])
      for (const token of tokens) seen.add(token)
    }
    expect(seen.size).toBe(ROUNDS)
    expect(refreshes() - before).toBe(ROUNDS)
    expect(h.far.revokedFamilies()).toBe(revokedBefore)
  },
  ROUNDS * 15_000, // five processes start first
)

test('a process that dies between the answer and the commit costs one consent, announced once, and no loop', async () => {
  const tenant = newTenant()
  const { connectionId, accountId } = await h.connect(tenant)
  const worker = await startWorker(tenant, accountId, 1)
  let answering = () => {}
  const rotated = new Promise<void>((resolve) => {
    h.far.beforeRefreshAnswer = () => {
      resolve()
      return new Promise((answer) => {
        answering = answer
      })
    }
  })
  await makeDue(tenant)
  worker.send('go')
  await rotated
  expect((await credentialRow(tenant))?.refresh_started_at).not.toBeNull()
  worker.kill('SIGKILL')
  h.far.beforeRefreshAnswer = async () => {}
  answering()
  const before = h.far.journal.filter(({ grant }) => grant === 'refresh_token').length
  const eventsBefore = (await h.events(tenant)).length
  const first = await h.call(tenant, 'POST', `/internal/v1/accounts/${accountId}/grant`)
  expect([first.status, first.body.code]).toEqual([409, 'connection_expired'])
  const again = await Promise.all(Array.from({ length: 10 }, () => h.call(tenant, 'POST', `/internal/v1/accounts/${accountId}/grant`)))
  expect(again.map(({ body }) => body.code)).toEqual(Array(10).fill('connection_expired'))
  expect(h.far.journal.filter(({ grant }) => grant === 'refresh_token').length - before).toBeLessThanOrEqual(2) // the stored token, once; and perhaps the dead one's own entry
  expect(h.far.journal.filter(({ grant, status }) => grant === 'refresh_token' && status === 400)).toHaveLength(1)
  expect((await h.events(tenant)).slice(eventsBefore)).toEqual(['connection.changed'])
  expect((await h.call(tenant, 'GET', `/v1/connections/${connectionId}`)).body).toMatchObject({
    status: 'expired',
    statusReason: { code: 'connection_expired' },
  })
})

describe('while the platform does not renew', () => {
  test('what is stored goes on being used, and the platform is asked once in a while only', async () => {
    const tenant = newTenant()
    const { accountId } = await h.connect(tenant)
    await makeDue(tenant)
    h.far.down = true
    const before = h.far.journal.length
    const answers = []
    for (let n = 0; n < 5; n += 1) answers.push(await h.call(tenant, 'POST', `/internal/v1/accounts/${accountId}/grant`))
    h.far.down = false
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect(h.far.journal.length - before).toBe(1)
    await h.database.admin(`UPDATE connections.credential SET refresh_failed_at = now() - interval '31 seconds' WHERE tenant_id = $1`, [tenant])
    expect((await h.call(tenant, 'POST', `/internal/v1/accounts/${accountId}/grant`)).body.version).toBe(2)
  })

  test('a token that has run out is not handed out: 503, and when to come again', async () => {
    const tenant = newTenant()
    const { accountId } = await h.connect(tenant)
    await h.database.admin(`UPDATE connections.credential SET expires_at = now() - interval '1 second' WHERE tenant_id = $1`, [tenant])
    h.far.down = true
    const answer = await h.call(tenant, 'POST', `/internal/v1/accounts/${accountId}/grant`)
    h.far.down = false
    expect([answer.status, answer.body.code, answer.headers.get('retry-after')]).toEqual([503, 'destination_unavailable', '30'])
  })
})

test('a token is renewed when less than five minutes of it are left', async () => {
  const tenant = newTenant()
  const { accountId } = await h.connect(tenant)
  const grant = async () => (await h.call(tenant, 'POST', `/internal/v1/accounts/${accountId}/grant`)).body.version
  await h.database.admin(`UPDATE connections.credential SET expires_at = now() + interval '6 minutes' WHERE tenant_id = $1`, [tenant])
  expect(await grant()).toBe(1)
  await h.database.admin(`UPDATE connections.credential SET expires_at = now() + interval '4 minutes' WHERE tenant_id = $1`, [tenant])
  expect(await grant()).toBe(2)
})

test('a connection deleted during a renewal stays deleted: the fresh token is revoked and stored nowhere', async () => {
  const tenant = newTenant()
  const { connectionId, accountId } = await h.connect(tenant)
  const revokedBefore = h.far.revokedFamilies()
  let answer = () => {}
  const rotated = new Promise<void>((resolve) => {
    h.far.beforeRefreshAnswer = () => {
      resolve()
      return new Promise((go) => {
        answer = go
      })
    }
  })
  await makeDue(tenant)
  const asked = h.call(tenant, 'POST', `/internal/v1/accounts/${accountId}/grant`)
  await rotated
  expect((await h.call(tenant, 'DELETE', `/v1/connections/${connectionId}`)).status).toBe(204)
  answer()
  expect((await asked).body.code).toBe('connection_revoked')
  await until('the grant is revoked at the platform', () => h.far.revokedFamilies() === revokedBefore + 1)
  expect(await credentialRow(tenant)).toBeUndefined()
})
