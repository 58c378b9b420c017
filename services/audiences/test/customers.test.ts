/** GET /v1/customers/{customerId}: what behavior-export knows, and beside it each audience that holds the person, or may. */
import { newUuid, uuidOf } from '@audience-sync/contracts/ids'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Rig, startRig } from './rig.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

type State = 'sending' | 'accepted' | 'applied' | 'rejected' | 'failed'

/** A batch of the audience in that state, as a connector records it; its number. */
async function batch(audienceId: string, operation: 'add' | 'remove', state: State, unnamed = 0): Promise<number> {
  const [made] = await rig.database.admin<{ no: number }>(
    `WITH r AS (INSERT INTO sync.run (id, tenant_id, audience_no, destination, destination_no, trigger, mode, status)
       SELECT gen_random_uuid(), tenant_id, no, destination, destination_no, 'api', 'incremental', 'completed' FROM sync.audience WHERE id = $1 RETURNING no, tenant_id, audience_no, destination_no)
     INSERT INTO sync.batch (id, tenant_id, run_no, audience_no, destination_no, generation, operation, manner, rows, state, suppressions_at, fetched_at, unnamed_rejections)
     SELECT gen_random_uuid(), tenant_id, no, audience_no, destination_no, 1, $2, 'list', 1, $3, '0:0', now(), $4 FROM r RETURNING no`,
    [uuidOf('audience', audienceId), operation, state, unnamed],
  )
  return made?.no ?? 0
}

const hold = (audienceId: string, customerNo: number, added: number, removed: number | null = null) =>
  rig.database.admin(
    `INSERT INTO sync.ledger (customer_no, fingerprint, add_batch, remove_batch, audience_no, tenant_no, config_version, destination_no, generation, normaliser, held)
     SELECT $2, 1, $3, $4, no, tenant_no, 1, destination_no, generation, 1, '' FROM sync.audience WHERE id = $1`,
    [uuidOf('audience', audienceId), customerNo, added, removed],
  )

test('a customer is shown with every audience that they are exported to, and how far that is', async () => {
  rig.world.customers.set('c_1', 101).set('c/2 ä', 102)
  const names = ['there', 'coming', 'going', 'refused', 'in doubt', 'given up'] as const
  const made = new Map<string, string>()
  for (const name of names) made.set(name, (await rig.audience({ name, start: false })).id)
  const id = (name: (typeof names)[number]) => made.get(name) ?? ''
  await hold(id('there'), 101, await batch(id('there'), 'add', 'applied'))
  await hold(id('coming'), 101, await batch(id('coming'), 'add', 'accepted'))
  await hold(id('going'), 101, await batch(id('going'), 'add', 'applied'), await batch(id('going'), 'remove', 'sending'))
  await hold(id('refused'), 101, await batch(id('refused'), 'add', 'rejected'))
  await hold(id('in doubt'), 101, await batch(id('in doubt'), 'add', 'applied', 1))
  // What was given up before it was taken is nowhere.
  await hold(id('given up'), 101, await batch(id('given up'), 'add', 'failed'))
  await hold(id('there'), 102, await batch(id('there'), 'add', 'applied'))

  const { status, body } = await rig.call('GET', '/v1/customers/c_1')
  expect(status).toBe(200)
  expect(body).toMatchObject({ customerId: 'c_1', maySendTo: ['ads'], behaviors: [] })
  expect(body.exported.map(({ name, operation, state }: Record<string, string>) => [name, operation, state])).toEqual([
    ['there', 'add', 'applied'],
    ['coming', 'add', 'accepted'],
    ['going', 'remove', 'sending'],
    ['refused', 'add', 'rejected'],
    ['in doubt', 'add', 'unknown'],
  ])
  const there = (await rig.call('GET', `/v1/audiences/${id('there')}`)).body
  expect(body.exported[0]).toEqual({
    audienceId: there.id,
    behaviorId: there.behaviorId,
    name: 'there',
    destination: 'meta',
    operation: 'add',
    state: 'applied',
  })
  expect((await rig.call('GET', `/v1/customers/${encodeURIComponent('c/2 ä')}`)).body).toMatchObject({ customerId: 'c/2 ä', exported: [{ name: 'there' }] })

  // A new far audience owes nothing to the old one, and one that was let go of is none of ours.
  await rig.database.admin('UPDATE sync.audience SET generation = 2 WHERE id = $1', [uuidOf('audience', id('there'))])
  await rig.database.admin('UPDATE sync.audience SET deleted_at = now() WHERE id = $1', [uuidOf('audience', id('coming'))])
  const left = (await rig.call('GET', '/v1/customers/c_1')).body.exported
  expect(left.map(({ name }: { name: string }) => name)).toEqual(['going', 'refused', 'in doubt'])
})

test('it needs the scope of customers, and a customer of the tenant’s own', async () => {
  rig.world.customers.set('c_3', 103)
  expect(await rig.call('GET', '/v1/customers/c_3')).toMatchObject({ status: 200, body: { exported: [] } })
  expect((await rig.call('GET', '/v1/customers/c_3', undefined, { scopes: ['audiences:read'] })).status).toBe(403)
  expect(await rig.call('GET', '/v1/customers/nobody')).toMatchObject({ status: 404, body: { code: 'not_found' } })
  expect((await rig.call('GET', '/v1/customers/c_3', undefined, { tenantId: newUuid() })).status).toBe(404)
})
