/** The proof of an erasure (R7): which calls removed the person where, signed, without a word of who it was. */
import { createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import { newUuid, publicId, uuidOf } from '@audience-sync/contracts/ids'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Rig, startRig } from './rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

const CUSTOMER = 7
const ERASURE = publicId('erasure', newUuid())
const PURGED = { customers: 1, memberships: 2 }

/** A removal for privacy of this audience, as a connector records it. */
async function removed(audienceId: string, state: 'accepted' | 'applied' | 'rejected', manner = 'account'): Promise<void> {
  const [{ no } = { no: 0 }] = await rig.database.admin<{ no: number }>('SELECT no FROM sync.audience WHERE id = $1', [uuid(audienceId)])
  await rig.database.admin(
    `WITH r AS (INSERT INTO sync.run (id, tenant_id, audience_no, destination, destination_no, trigger, mode, status)
       SELECT gen_random_uuid(), tenant_id, no, destination, destination_no, 'privacy', 'incremental', 'completed' FROM sync.audience WHERE no = $1 RETURNING no, tenant_id, destination_no),
     b AS (INSERT INTO sync.batch (id, tenant_id, run_no, audience_no, destination_no, generation, operation, manner, rows, removed, state, suppressions_at, fetched_at, sent_at, platform_accepted_at, applied_at, sha256, receipt)
       SELECT gen_random_uuid(), tenant_id, no, $1, destination_no, 1, 'remove', $3, 12, 12, $2, '0:0', now(), now(), now(), CASE WHEN $2 = 'applied' THEN now() END, '\\x00ff', '{"fbtraceId":"trace"}' FROM r RETURNING no, destination_no)
     INSERT INTO sync.privacy_removal (batch_no, customer_no, audience_no, tenant_no, destination_no) SELECT b.no, $4, $1, a.tenant_no, b.destination_no FROM b, sync.audience a WHERE a.no = $1`,
    [no, state, manner, CUSTOMER],
  )
}
const uuid = (id: string) => uuidOf('audience', id)

/** What a compact JWS says, if it was signed with the key. */
function read(jws: string, jwk: JsonWebKey): { header: unknown; payload: unknown } | null {
  const [header = '', payload = '', signature = ''] = jws.split('.')
  const key = createPublicKey({ key: jwk, format: 'jwk' })
  if (!verify(null, Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url'))) return null
  const [first, second] = [header, payload].map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()))
  return { header: first, payload: second }
}

test('R7: the proof names each audience and the calls that removed the person, and is signed', async () => {
  rig.world.erasures.set(ERASURE, { id: ERASURE, customerNo: CUSTOMER, requestedAt: '2026-11-20T10:00:00.000Z', purged: PURGED })
  const [one, other] = [await rig.audience(), await rig.audience()]
  await removed(one.id, 'rejected', 'list')
  await removed(one.id, 'applied')
  await removed(other.id, 'accepted', 'list')
  const { status, body } = await rig.call('GET', `/v1/privacy/erasures/${ERASURE}/proof`)
  expect(status).toBe(200)
  const { jws, key, ...said } = body
  expect(said).toMatchObject({ erasureId: ERASURE, requestedAt: '2026-11-20T10:00:00.000Z', purged: PURGED, complete: true })
  expect(said.audiences).toHaveLength(2)
  // A call that was refused proves nothing.
  expect(said.audiences[0]).toMatchObject({
    audienceId: one.id,
    state: 'removed',
    calls: [{ scope: 'account', rows: 12, sha256: '00ff', receipt: { fbtraceId: 'trace' } }],
  })
  expect(said.audiences[1]).toMatchObject({ audienceId: other.id, calls: [{ scope: 'audience', appliedAt: null }] })
  expect(read(jws, key)).toEqual({ header: { alg: 'EdDSA', typ: 'erasure-proof+jws', kid: expect.stringMatching(/^audiences:/) }, payload: said })
  expect(key).not.toHaveProperty('d')
  // Changed by a letter it is no proof any more.
  expect(read(`${jws.slice(0, 80)}${jws[80] === 'A' ? 'B' : 'A'}${jws.slice(81)}`, key)).toBeNull()
})

test('an erasure is not complete while a ledger still holds the person', async () => {
  const id = publicId('erasure', newUuid())
  rig.world.erasures.set(id, { id, customerNo: 8, requestedAt: '2026-11-20T10:00:00.000Z', purged: PURGED })
  const made = await rig.audience()
  await rig.database.admin(
    `INSERT INTO sync.ledger (customer_no, fingerprint, add_batch, audience_no, tenant_no, config_version, destination_no, generation, normaliser, held)
     SELECT 8, 1, 1, no, tenant_no, 1, destination_no, generation, 1, '' FROM sync.audience WHERE id = $1`,
    [uuid(made.id)],
  )
  const { body } = await rig.call('GET', `/v1/privacy/erasures/${id}/proof`)
  expect(body).toMatchObject({ complete: false, audiences: [{ audienceId: made.id, state: 'pending', calls: [] }] })
})

test('it needs the scope of erasures, and an erasure of the tenant’s own', async () => {
  expect((await rig.call('GET', `/v1/privacy/erasures/${ERASURE}/proof`, undefined, { scopes: ['audiences:read'] })).status).toBe(403)
  expect((await rig.call('GET', `/v1/privacy/erasures/${publicId('erasure', newUuid())}/proof`)).status).toBe(404)
  expect((await rig.call('GET', `/v1/privacy/erasures/${ERASURE}/proof`, undefined, { tenantId: newUuid() })).status).toBe(404)
})
