/** Bad input: each kind has its own code, and what was good beside it is not lost. */

import { newUuid, publicId } from '@audience-sync/contracts/ids'
import { type Client, createAudience, createBehavior, ingest, type Json, members, waitRun } from '@audience-sync/testing/conductor-client'
import { describe, expect, test } from '@jest/globals'
import { customer, joins, later, leaves, people, person } from './people.ts'
import type { Stage, Tenant } from './stage.ts'

const NOT_SIGNED = '1000000000000002'
const NDJSON = { 'content-type': 'application/x-ndjson' }

const problem = ({ status, body }: { status: number; body: Json }) => [status, body.code]

export function badInput(stage: Stage): void {
  describe('bad input', () => {
    let ours: Promise<Tenant> | undefined
    const tenant = () => {
      ours ??= stage.tenant('bad-input')
      return ours
    }
    const newAudience = (behaviorId: string, accountId: string) => ({ behaviorId, destination: 'meta', accountId, name: 'bad input' })

    test('an unknown id and the id of another tenant are answered alike: 404', async () => {
      const { client, accountId, connection } = await tenant()
      const behavior = await createBehavior(client, 'foreign')
      await ingest(client, people(0, 1).map(customer))
      await members(client, behavior, people(0, 1).map(joins))
      const made = await createAudience(client, behavior, accountId)
      const stranger = (await stage.tenant('stranger')).client
      const there = [
        ['behavior', '/v1/behaviors/', behavior],
        ['connection', '/v1/connections/', connection.connectionId],
        ['account', '/v1/accounts/', accountId],
        ['audience', '/v1/audiences/', made.id],
        ['run', '/v1/runs/', made.lastRun.id],
      ] as const
      for (const [kind, path, id] of there) {
        expect((await client.ask('GET', path + id)).status).toBe(200)
        const [foreign, unknown, malformed] = await Promise.all([id, publicId(kind, newUuid()), 'nonsense'].map((one) => stranger.ask('GET', path + one)))
        expect(problem(foreign as Json)).toEqual([404, 'not_found'])
        expect(sameBut('requestId', foreign?.body)).toEqual(sameBut('requestId', unknown?.body))
        expect(problem(malformed as Json)).toEqual([404, 'not_found'])
      }
      expect(problem(await stranger.ask('POST', `/v1/audiences/${made.id}/refresh`, {}))).toEqual([404, 'not_found'])
      expect(problem(await stranger.ask('DELETE', `/v1/audiences/${made.id}`))).toEqual([404, 'not_found'])
      expect((await client.get(`/v1/audiences/${made.id}`)).status).not.toBe('deleting')
    })

    test('ids in a body that do not exist: behavior_unknown, account_unknown', async () => {
      const { client, accountId } = await tenant()
      const behavior = await createBehavior(client, 'unknown-ids')
      const other = await stage.tenant('other-account')
      expect(problem(await client.ask('POST', '/v1/audiences', newAudience(publicId('behavior', newUuid()), accountId)))).toEqual([422, 'behavior_unknown'])
      expect(problem(await client.ask('POST', '/v1/audiences', newAudience(behavior, other.accountId)))).toEqual([422, 'account_unknown'])
      expect(problem(await client.ask('POST', '/v1/audiences', { ...newAudience(behavior, accountId), surprise: 1 }))).toEqual([400, 'validation_failed'])
    })

    test('a behavior without members makes an audience that waits: audience_too_small', async () => {
      const { client, accountId } = await tenant()
      const made = await createAudience(client, await createBehavior(client, 'empty'), accountId, { minimumSize: 100 })
      expect(made).toMatchObject({ status: 'paused', statusReason: { code: 'audience_too_small' } })
    })

    test('accounts that cannot be used: account_not_selected, terms_not_signed', async () => {
      const { client, connection } = await tenant()
      const behavior = await createBehavior(client, 'accounts')
      const account = connection.accounts.get(NOT_SIGNED)
      expect(problem(await client.ask('POST', '/v1/audiences', newAudience(behavior, account.id)))).toEqual([409, 'account_not_selected'])
      await client.put(`/v1/connections/${connection.connectionId}/accounts`, { selected: [...connection.accounts.keys()] })
      const refused = await client.ask('POST', '/v1/audiences', newAudience(behavior, account.id))
      expect(problem(refused)).toEqual([409, 'terms_not_signed'])
      expect(refused.body.detail).toContain('http') // where they can be signed
      // Without an account it is the default one, if there is one.
      const bare = { ...newAudience(behavior, account.id), accountId: undefined }
      expect(problem(await client.ask('POST', '/v1/audiences', bare))).toEqual([422, 'account_required'])
      await client.put('/v1/default-accounts', { defaults: [{ destination: 'meta', behaviorKind: 'custom', accountId: account.id }] })
      expect(problem(await client.ask('POST', '/v1/audiences', bare))).toEqual([409, 'terms_not_signed'])
    })

    test('bad lines are told by number and code; the good ones beside them are stored, or none at all with atomic', async () => {
      const { client } = await tenant()
      const line = (value: object) => JSON.stringify(value)
      const raw = [
        line(customer(person(900))),
        '{"customerId": "broken',
        line({ customerId: 'empty', identifiers: {}, occurredAt: later() }),
        line({ ...customer(person(901)), identifiers: { email: 'not an address', phone: '12' } }),
        line({ ...customer(person(902)), occurredAt: new Date(Date.now() + 3_600_000).toISOString() }),
        line(customer(person(903))),
      ].join('\n')
      const before = await client.ask('POST', '/v1/customers?atomic=true', undefined, { raw, headers: NDJSON })
      expect(problem(before)).toEqual([400, 'validation_failed'])
      expect((await client.ask('GET', `/v1/customers/${person(900).customerId}`)).status).toBe(404)

      const answer = await client.post('/v1/customers', undefined, { raw, headers: NDJSON })
      expect(answer).toMatchObject({ received: 6, changed: 3, rejected: 3 })
      expect(answer.errors.map(({ line: at, code }: Json) => [at, code]).sort()).toEqual(
        [
          [2, 'line_malformed'],
          [3, 'customer_empty'],
          [4, 'email_malformed'],
          [4, 'phone_not_e164'],
          [5, 'occurred_at_in_future'],
        ].sort(),
      )
      for (const i of [900, 901, 903]) expect((await client.ask('GET', `/v1/customers/${person(i).customerId}`)).status).toBe(200)
    })

    test('somebody without a usable identifier is kept back with that reason, and nobody else', async () => {
      const { client, accountId } = await tenant()
      const behavior = await createBehavior(client, 'unusable')
      const bad = { ...customer(person(910)), identifiers: { email: 'not an address' } }
      await ingest(client, [bad, customer(person(911))])
      await members(client, behavior, [joins(person(910)), joins(person(911))])
      const made = await createAudience(client, behavior, accountId)
      const run = await waitRun(client, made.lastRun.id)
      expect(run).toMatchObject({ status: 'completed', counts: { planned: 1, added: 1, suppressed: 1 }, suppressedBy: { no_usable_identifier: 1 } })
    })

    test('an event that is older than what is stored changes nothing: it is counted as stale', async () => {
      const { client } = await tenant()
      const behavior = await createBehavior(client, 'stale')
      const [early, now] = [leaves(person(920)), joins(person(920))]
      expect(await members(client, behavior, [now])).toMatchObject({ changed: 1, stale: 0 })
      expect(await members(client, behavior, [early])).toMatchObject({ changed: 0, stale: 1 })
      expect((await client.get(`/v1/behaviors/${behavior}`)).members).toBe(1)
    })

    test('a body that is too large: payload_too_large', async () => {
      const { client, accountId } = await tenant()
      const body = { ...newAudience(publicId('behavior', newUuid()), accountId), description: 'x'.repeat(300 * 1024) }
      expect(problem(await client.ask('POST', '/v1/audiences', body))).toEqual([413, 'payload_too_large'])
      const bulk = await client.ask('POST', '/v1/customers', { customers: [], padding: 'x'.repeat(11 * 1024 * 1024) })
      expect(problem(bulk)).toEqual([413, 'payload_too_large'])
    })

    test('an Idempotency-Key repeats its answer, and refuses another body', async () => {
      const { client, accountId } = await tenant()
      const behavior = await createBehavior(client, 'once')
      const headers = { 'idempotency-key': newUuid() }
      const ask = (name: string) => create(client, { ...newAudience(behavior, accountId), name }, headers)
      const [first, again, other] = [await ask('one'), await ask('one'), await ask('two')]
      expect([first.status, again.status]).toEqual([201, 201])
      expect(again.body).toEqual(first.body)
      expect(problem(other)).toEqual([422, 'idempotency_key_reused'])
      expect((await client.get(`/v1/audiences?behaviorId=${behavior}`)).data).toHaveLength(1)
    })

    test('no credential, a false one, and one that may not', async () => {
      const { client } = await tenant()
      const { key } = await client.post('/v1/api-keys', { name: 'reader', scopes: ['audiences:read'] })
      const as = (authorization: string) => client.ask('POST', '/v1/behaviors', { key: 'x', name: 'x' }, { headers: { authorization } })
      expect(problem(await as(''))).toEqual([401, 'unauthenticated'])
      expect(problem(await as('Bearer nonsense'))).toEqual([401, 'unauthenticated'])
      expect(problem(await as(`Bearer ${key}`))).toEqual([403, 'forbidden_scope'])
    })
  })
}

const create = (client: Client, body: object, headers: Readonly<Record<string, string>>) => client.ask('POST', '/v1/audiences', body, { headers })
const sameBut = (field: string, body: Json) => ({ ...body, [field]: null })
