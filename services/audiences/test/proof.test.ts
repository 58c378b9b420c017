/** The proof of an erasure (R7): which calls removed the person where, signed, without a word of who it was. */
import { createHash, createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import { newUuid, publicId, uuidOf } from '@audience-sync/contracts/ids'
import { until } from '@audience-sync/testing/until'
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
function opened(jws: string, jwk: JsonWebKey): { header: unknown; payload: unknown } | null {
  const [header = '', payload = '', signature = ''] = jws.split('.')
  const key = createPublicKey({ key: jwk, format: 'jwk' })
  if (!verify(null, Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url'))) return null
  const [first, second] = [header, payload].map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()))
  return { header: first, payload: second }
}

test('R7: the proof names each audience and the calls that removed the person, and is signed', async () => {
  rig.world.erasures.set(ERASURE, {
    id: ERASURE,
    customerNo: CUSTOMER,
    requestedAt: '2026-11-20T10:00:00.000Z',
    purged: PURGED,
    suppressedAt: null,
    proof: null,
  })
  const [one, other] = [await rig.audience(), await rig.audience()]
  await removed(one.id, 'rejected', 'list')
  await removed(one.id, 'applied')
  await removed(other.id, 'accepted', 'list')
  const { status, body } = await rig.call('GET', `/v1/privacy/erasures/${ERASURE}/proof`)
  expect(status).toBe(200)
  const { jws, key, kept, ...said } = body
  expect(kept).toBeNull()
  expect(said).toMatchObject({ erasureId: ERASURE, requestedAt: '2026-11-20T10:00:00.000Z', purged: PURGED, complete: true })
  expect(said.audiences).toHaveLength(2)
  // A call that was refused proves nothing.
  expect(said.audiences[0]).toMatchObject({
    audienceId: one.id,
    state: 'removed',
    calls: [{ scope: 'account', rows: 12, sha256: '00ff', receipt: { fbtraceId: 'trace' } }],
  })
  expect(said.audiences[1]).toMatchObject({ audienceId: other.id, calls: [{ scope: 'audience', appliedAt: null }] })
  expect(opened(jws, key)).toEqual({ header: { alg: 'EdDSA', typ: 'erasure-proof+jws', kid: expect.stringMatching(/^audiences:/) }, payload: said })
  expect(key).not.toHaveProperty('d')
  // Changed by a letter it is no proof any more.
  expect(opened(`${jws.slice(0, 80)}${jws[80] === 'A' ? 'B' : 'A'}${jws.slice(81)}`, key)).toBeNull()
})

test('an erasure is not complete while a ledger still holds the person', async () => {
  const id = publicId('erasure', newUuid())
  rig.world.erasures.set(id, { id, customerNo: 8, requestedAt: '2026-11-20T10:00:00.000Z', purged: PURGED, suppressedAt: null, proof: null })
  const made = await rig.audience()
  await rig.database.admin(
    `INSERT INTO sync.ledger (customer_no, fingerprint, add_batch, audience_no, tenant_no, config_version, destination_no, generation, normaliser, held)
     SELECT 8, 1, 1, no, tenant_no, 1, destination_no, generation, 1, '' FROM sync.audience WHERE id = $1`,
    [uuid(made.id)],
  )
  const { body } = await rig.call('GET', `/v1/privacy/erasures/${id}/proof`)
  expect(body).toMatchObject({ complete: false, audiences: [{ audienceId: made.id, state: 'pending', calls: [] }] })
})

test('an erasure is complete once each connector has read of it and nothing holds the person any more, and never before', async () => {
  const id = publicId('erasure', newUuid())
  const made = await rig.audience()
  const hold = () =>
    rig.database.admin(
      `INSERT INTO sync.ledger (customer_no, fingerprint, add_batch, audience_no, tenant_no, config_version, destination_no, generation, normaliser, held)
       SELECT 9, 1, 1, no, tenant_no, 1, destination_no, generation, 1, '' FROM sync.audience WHERE id = $1`,
      [uuid(made.id)],
    )
  const read = (epoch: string, position: string) =>
    rig.database.admin(
      `INSERT INTO sync.suppression_cursor (destination_no, epoch, position) SELECT no, $1, $2 FROM sync.destination WHERE id = 'meta'
       ON CONFLICT (destination_no) DO UPDATE SET epoch = excluded.epoch, position = excluded.position`,
      [epoch, position],
    )
  /** What the proof says, when the service has looked since. */
  const proof = async () => {
    const { asked } = rig.world
    await until('the service to look again', async () => rig.world.asked > asked + 1)
    return { ...(await rig.call('GET', `/v1/privacy/erasures/${id}/proof`)).body, told: rig.world.completed.has(id) }
  }
  rig.world.erasures.set(id, {
    id,
    customerNo: 9,
    requestedAt: '2026-11-20T10:00:00.000Z',
    purged: PURGED,
    suppressedAt: { epoch: 'now', position: '900:7' },
    proof: null,
  })
  // Nobody holds the person, but a connector that has not heard of it may be about to send them.
  expect(await proof()).toMatchObject({ complete: false, waitingFor: ['meta'], audiences: [], told: false })
  await read('now', '900:6')
  expect(await proof()).toMatchObject({ complete: false, waitingFor: ['meta'], told: false })
  await read('before the restore', '1000:0')
  expect(await proof()).toMatchObject({ complete: false, waitingFor: ['meta'], told: false })
  await hold()
  await read('now', '900:7')
  expect(await proof()).toMatchObject({ complete: false, waitingFor: [], audiences: [{ state: 'pending' }], told: false })
  await rig.database.admin('DELETE FROM sync.ledger WHERE customer_no = 9')
  expect(await proof()).toMatchObject({ complete: true, waitingFor: [], told: true })
  // What is handed over to be kept is that proof, signed, and it is shown beside what is known now.
  const jws = rig.world.completed.get(id) ?? ''
  const [key] = (await rig.call('GET', '/v1/privacy/keys')).body.keys
  expect(opened(jws, key)?.payload).toMatchObject({ erasureId: id, complete: true, waitingFor: [] })
  const link = { seq: 7, hash: 'ab'.repeat(32) }
  rig.world.erasures.set(id, { ...rig.world.erasures.get(id), proof: { jws, link } })
  const { kept } = (await rig.call('GET', `/v1/privacy/erasures/${id}/proof`)).body
  expect(kept).toEqual({ jws, sha256: createHash('sha256').update(jws).digest('hex'), audit: link })
})

test('whoever has a proof finds the key of its signature without a credential, and no other service’s', async () => {
  const response = await fetch(`${rig.url}/v1/privacy/keys`)
  expect(response.status).toBe(200)
  const { keys } = (await response.json()) as { keys: (JsonWebKey & { kid: string })[] }
  expect(keys).toEqual([{ kty: 'OKP', crv: 'Ed25519', x: expect.any(String), alg: 'EdDSA', use: 'sig', kid: expect.stringMatching(/^audiences:/) }])
  const { body } = await rig.call('GET', `/v1/privacy/erasures/${ERASURE}/proof`)
  const [key] = keys
  expect(key && opened(body.jws, key)).toMatchObject({ header: { kid: key?.kid }, payload: { erasureId: ERASURE } })
})

test('it needs the scope of erasures, and an erasure of the tenant’s own', async () => {
  expect((await rig.call('GET', `/v1/privacy/erasures/${ERASURE}/proof`, undefined, { scopes: ['audiences:read'] })).status).toBe(403)
  expect((await rig.call('GET', `/v1/privacy/erasures/${publicId('erasure', newUuid())}/proof`)).status).toBe(404)
  expect((await rig.call('GET', `/v1/privacy/erasures/${ERASURE}/proof`, undefined, { tenantId: newUuid() })).status).toBe(404)
})
