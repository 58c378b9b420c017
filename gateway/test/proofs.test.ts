/** Proofs of erasures in the audit log (RELIABILITY.md §4.8): named once, and whatever is done to them or to the log shows, and where. */
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import { ChainedErasures, WantedProofs } from '@audience-sync/contracts/internal/erasures'
import { PROOF_TYPE, type ProofVerification } from '@audience-sync/contracts/rest/proofs'
import type { ServiceClient } from '@audience-sync/service/client'
import { createLogger } from '@audience-sync/service/log'
import { generateServiceTokens } from '@audience-sync/service/tokens'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { z } from 'zod'
import { type AuditRow, chain, GENESIS } from '../src/audit-chain.ts'
import { append } from '../src/audit-log.ts'
import { digestOf, PROVEN, proofChain, targetOf } from '../src/proof-chain.ts'
import { verifyProofs } from '../src/verify-proofs.ts'
import { type Harness, harness } from './harness.ts'

let database: TestDatabase
let tokens: Awaited<ReturnType<typeof generateServiceTokens<'gateway' | 'audiences'>>>
let tenantId: string
beforeAll(async () => {
  database = await testDatabase()
  tokens = await generateServiceTokens(['gateway', 'audiences'])
})
afterAll(() => database.drop())

/** What behavior-export keeps. */
interface Kept {
  tenantId: string
  jws: string
  link: { seq: number; hash: string } | null
}
let kept: Map<string, Kept>
beforeEach(() => {
  tenantId = newUuid()
  kept = new Map()
})

/** behavior-export's half of the internal routes. */
const answers: Record<string, (tenant: string, body: unknown) => unknown> = {
  'unchained-proofs': () => ({
    proofs: [...kept].filter(([, { link }]) => link === null).map(([id, { tenantId: owner, jws }]) => ({ id, tenantId: owner, jws })),
    done: true,
  }),
  'erasures/chained': (_tenant, body) => {
    for (const { id, ...link } of ChainedErasures.parse(body).links) Object.assign(kept.get(id) ?? {}, { link })
    return {}
  },
  'erasures/proofs': (tenant, body) => ({
    proofs: WantedProofs.parse(body).ids.flatMap((id) => (kept.get(id)?.tenantId === tenant ? [{ id, jws: kept.get(id)?.jws }] : [])),
  }),
  'chained-proofs': (tenant) => ({
    links: [...kept].flatMap(([id, one]) => (one.tenantId === tenant && one.link ? [{ id, ...one.link }] : [])),
    waiting: [...kept.values()].filter((one) => one.tenantId === tenant && !one.link).length,
    done: true,
  }),
}
const call = async (path: string, body: unknown, { tenantId: tenant, schema }: { tenantId: string; schema: z.ZodType }) =>
  schema.parse(answers[path.slice('/internal/v1/'.length)]?.(tenant, body))
const behaviorExport = {
  get: (path: string, options: never) => call(path, undefined, options),
  post: call,
} as unknown as ServiceClient

const parts = () => ({ db: database.as('gateway', 4), tokens: tokens.gateway, behaviorExport, log: createLogger({ name: 'test', level: 'silent' }) })
const proofOf = async (erasureId: string, by: 'audiences' | 'gateway' = 'audiences', type = PROOF_TYPE) =>
  (await tokens[by].attest(type, { erasureId, complete: true })).jws

async function keep(jws?: string): Promise<string> {
  const id = publicId('erasure', newUuid())
  kept.set(id, { tenantId, jws: jws ?? (await proofOf(id)), link: null })
  return id
}
const round = () => proofChain(parts())(new AbortController().signal)
const others = async (count: number) =>
  parts().db.tenant(tenantId, (tx) =>
    append(
      tx,
      tenantId,
      Array.from({ length: count }, (_, n) => ({
        at: new Date(),
        actor: 'bootstrap',
        action: 'POST',
        target: '/v1/audiences',
        result: 'ok',
        status: 201,
        requestId: `req_${n}`,
      })),
    ),
  )

/** All pages. */
async function verify(of = tenantId): Promise<ProofVerification[]> {
  const pages: ProofVerification[] = []
  let cursor: string | undefined
  do {
    const page = await verifyProofs(parts(), of, cursor)
    pages.push(page)
    cursor = page.nextCursor ?? undefined
  } while (cursor)
  return pages
}
const broken = async () => (await verify()).flatMap((page) => page.broken.map(({ code, seq, erasureId }) => [code, seq, erasureId]))

/** What nobody may do and a superuser can: the log's own guards are off meanwhile. */
async function tamper(sql: string, values: unknown[] = []): Promise<void> {
  await database.admin('ALTER TABLE gateway.audit_log DISABLE TRIGGER USER')
  await database.admin(sql, values)
  await database.admin('ALTER TABLE gateway.audit_log ENABLE TRIGGER USER')
}
const log = () =>
  database.admin<AuditRow>(
    `SELECT seq, at, actor, action, target, result, status, request_id AS "requestId", previous_hash AS "previousHash", hash FROM gateway.audit_log WHERE tenant_id = $1 ORDER BY seq`,
    [tenantId],
  )

/** Three other lines, a proof's, two others, another proof's, one other. */
async function written(): Promise<[string, string]> {
  await others(3)
  const first = await keep()
  await round()
  await others(2)
  const second = await keep()
  await round()
  await others(1)
  return [first, second]
}

describe('the audit log names the proofs of erasures', () => {
  test('each once, by its digest, and the verification holds', async () => {
    const [first, second] = await written()
    const lines = (await log()).filter(({ action }) => action === PROVEN)
    expect(lines.map(({ seq, target }) => [seq, target])).toEqual([first, second].map((id, n) => [[4, 7][n], `${id}#${digestOf(kept.get(id)?.jws ?? '')}`]))
    expect(kept.get(first)?.link).toEqual({ seq: 4, hash: lines[0]?.hash.toString('hex') })
    const pages = await verify()
    expect(pages.map(({ intact, lines: read, proofs, waiting }) => ({ intact, read, proofs, waiting }))).toEqual([
      { intact: true, read: 8, proofs: 2, waiting: null },
      { intact: true, read: 0, proofs: 2, waiting: 0 },
    ])
    expect(pages[0]?.head).toMatchObject({ seq: 8 })
  })

  test('a second pod, or one that died before it said so, names none twice', async () => {
    const id = await keep()
    await round()
    Object.assign(kept.get(id) ?? {}, { link: null }) // it died before it said where
    await Promise.all([round(), round()])
    expect((await log()).filter(({ action }) => action === PROVEN)).toHaveLength(1)
    expect(kept.get(id)?.link?.seq).toBe(1)
  })

  test('one without a good signature of audiences is not named, and does not hold up the others', async () => {
    const forged = [await keep('x.y.z'), await keep(await proofOf('era', 'gateway')), await keep(await proofOf('era', 'audiences', 'at+jwt'))]
    const good = await keep()
    await round()
    expect((await log()).map(({ target }) => target.split('#')[0])).toEqual([good])
    expect(forged.map((id) => kept.get(id)?.link)).toEqual([null, null, null])
    expect((await verify()).at(-1)).toMatchObject({ waiting: 3 })
  })
})

describe('what somebody did to it shows, and where', () => {
  test('a proof that was deleted', async () => {
    const [first] = await written()
    kept.delete(first)
    expect(await broken()).toEqual([['proof_missing', 4, first]])
  })

  test('a proof that was altered, and one that was replaced by another genuine one', async () => {
    const [first, second] = await written()
    const one = kept.get(first) as Kept
    one.jws = `${one.jws}x`
    const other = kept.get(second) as Kept
    other.jws = await proofOf(second, 'audiences')
    expect(await broken()).toEqual([['proof_altered', 4, first]]) // Ed25519 is deterministic: the same words have the same signature
    other.jws = (await tokens.audiences.attest(PROOF_TYPE, { erasureId: second, complete: true, audiences: [] })).jws
    expect(await broken()).toEqual([
      ['proof_altered', 4, first],
      ['proof_altered', 7, second],
    ])
  })

  test('a line of the log that was altered', async () => {
    await written()
    await tamper(`UPDATE gateway.audit_log SET actor = 'nobody' WHERE tenant_id = $1 AND seq = 2`, [tenantId])
    expect(await broken()).toEqual([['audit_line_altered', 2, null]])
  })

  test('a line that was taken out of the middle, with its proof', async () => {
    const [first] = await written()
    kept.delete(first)
    await tamper('DELETE FROM gateway.audit_log WHERE tenant_id = $1 AND seq = 4', [tenantId])
    expect(await broken()).toEqual([['audit_line_missing', 5, null]])
  })

  test('a log that was cut off at its end, by the proof that it named there', async () => {
    const [, second] = await written()
    await tamper('DELETE FROM gateway.audit_log WHERE tenant_id = $1 AND seq >= 7', [tenantId])
    expect(await broken()).toEqual([['proof_unchained', 7, second]])
  })

  test('a log that was computed anew to fit an altered proof, by the signature and by the other lines’ hashes', async () => {
    const [first, second] = await written()
    const one = kept.get(first) as Kept
    one.jws = await proofOf(first, 'gateway')
    const lines = (await log()).map((line) => (line.seq === 4 ? { ...line, target: targetOf(first, one.jws) } : line))
    for (const { seq, target, previousHash, hash } of chain(tenantId, { seq: 0, hash: GENESIS }, lines))
      await tamper('UPDATE gateway.audit_log SET target = $3, previous_hash = $4, hash = $5 WHERE tenant_id = $1 AND seq = $2', [
        tenantId,
        seq,
        target,
        previousHash,
        hash,
      ])
    expect(await broken()).toEqual([
      ['proof_signature_invalid', 4, first],
      ['proof_unchained', 4, first],
      ['proof_unchained', 7, second],
    ])
  })
})

test('a page has an end, the next goes on behind it, and what is in the middle of two is read once', async () => {
  await others(1_990)
  const ids = []
  for (let n = 0; n < 105; n += 1) ids.push(await keep())
  await round()
  kept.delete(ids[102] as string)
  const pages = await verify()
  expect(pages.map(({ lines, proofs }) => [lines, proofs])).toEqual([
    [2_000, 10],
    [95, 95],
    [0, 104],
  ])
  expect(pages.map(({ broken: faults }) => faults.length)).toEqual([0, 1, 0])
  await others(2_000)
  expect((await verify()).map(({ lines, proofs }) => [lines, proofs])).toEqual([
    [2_000, 10],
    [2_000, 95],
    [95, 0],
    [0, 104],
  ])
})

test('a page ends before the proof that would be one too many', async () => {
  for (let n = 0; n < 101; n += 1) await keep()
  await round()
  expect((await verify()).map(({ lines, proofs }) => [lines, proofs])).toEqual([
    [100, 100],
    [1, 1],
    [0, 101],
  ])
})

test('a tenant verifies its own log and no other', async () => {
  await written()
  kept.clear()
  expect(await verify(newUuid())).toMatchObject([
    { intact: true, lines: 0, proofs: 0, head: null },
    { intact: true, proofs: 0, waiting: 0 },
  ])
})

describe('GET /v1/privacy/proofs/verification', () => {
  let gateway: Harness
  beforeAll(async () => {
    gateway = await harness({
      routes: {
        'behavior-export'(app) {
          app.get('/internal/v1/unchained-proofs', {}, async () => ({ proofs: [], done: true }))
          app.get('/internal/v1/chained-proofs', {}, async () => ({ links: [], waiting: 0, done: true }))
        },
      },
    })
  })
  afterAll(() => gateway.stop())

  test('answers for the caller’s tenant, a page at a time', async () => {
    const { key } = await gateway.tenant('verifies')
    const first = await gateway.call('/v1/privacy/proofs/verification', { key })
    expect(first.status).toBe(200)
    const page = (await first.json()) as ProofVerification
    expect(page).toMatchObject({ intact: true, proofs: 0, waiting: null, broken: [] })
    expect(page.head?.seq).toBe(page.lines)
    const last = await gateway.call(`/v1/privacy/proofs/verification?cursor=${page.nextCursor}`, { key })
    expect(await last.json()).toMatchObject({ intact: true, lines: 0, waiting: 0, nextCursor: null })
    expect((await gateway.call('/v1/privacy/proofs/verification?cursor=x', { key })).status).toBe(400)
    expect((await gateway.call('/v1/privacy/proofs/verification', { key: null })).status).toBe(401)
  })
})
