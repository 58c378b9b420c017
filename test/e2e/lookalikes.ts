/** Similar audiences: wished for at once, made when their seed is ready, and in the way of deleting it. */
import { createAudience, createBehavior, ingest, type Json, members, waitRun } from '@audience-sync/testing/conductor-client'
import { until } from '@audience-sync/testing/until'
import { describe, expect, test } from '@jest/globals'
import { customer, joins, lastSeq, people } from './people.ts'
import type { Stage } from './stage.ts'

const SEED_PEOPLE = 300 // the platform wants a hundred whom it knows
const PATIENCE = { timeoutMs: 60_000, everyMs: 200 }

export function lookalikes(stage: Stage): void {
  describe('lookalikes', () => {
    test('one waits for its seed, is made of it once, follows the platform, and is deleted before it', async () => {
      const { twin } = stage.system
      const { client, accountId } = await stage.tenant('lookalikes')
      const behavior = await createBehavior(client, 'loyal')
      const some = people(0, SEED_PEOPLE)
      await ingest(client, some.map(customer))
      await members(client, behavior, some.map(joins))
      const seq = await lastSeq(twin)
      const { id: seedId } = await createAudience(client, behavior, accountId, { purpose: 'seed', start: false })
      const wished = await client.post(`/v1/audiences/${seedId}/lookalikes`, {
        name: 'Like the loyal',
        type: 'custom_ratio',
        ratio: 0.02,
        countryGroups: ['europe'],
        excludedCountries: ['FR'],
      })
      expect(wished).toMatchObject({ seedAudienceId: seedId, status: 'pending', statusReason: { code: 'seed_not_exported' }, externalId: null })
      const lookalike = () => client.get(`/v1/lookalikes/${wished.id}`)
      const waitFor = (what: string, ready: (one: Json) => unknown) =>
        until(
          what,
          async () => {
            const one = await lookalike()
            if (ready(one)) return one
            throw new Error(JSON.stringify(one))
          },
          PATIENCE,
        )

      await waitRun(client, (await client.post(`/v1/audiences/${seedId}/refresh`)).id)
      const { externalId } = await waitFor('the lookalike to be made', (one) => one.externalId)
      const creates = (await twin.journal(seq)).map(({ body }) => body as Json).filter((body) => body?.subtype === 'LOOKALIKE')
      const seed = await client.get(`/v1/audiences/${seedId}`)
      expect(creates).toMatchObject([{ name: 'Like the loyal', origin_audience_id: seed.externalId }])
      expect(JSON.parse(creates[0].lookalike_spec)).toEqual({
        type: 'custom_ratio',
        ratio: 0.02,
        location_spec: { geo_locations: { country_groups: ['europe'] }, excluded_geo_locations: { countries: ['FR'] } },
      })
      await twin.changeAudience(externalId, { operationStatus: 200, deliveryStatus: 200 })
      expect(await waitFor('it to be built', ({ status }) => status === 'active')).toMatchObject({ statusReason: null, adopted: false })

      const refused = await client.ask('DELETE', `/v1/audiences/${seedId}`)
      expect(refused).toMatchObject({ status: 409, body: { code: 'lookalikes_exist', lookalikes: [{ id: wished.id }] } })
      const { data } = await client.get(`/v1/audiences/${seedId}/history?kind=lookalike`)
      expect(data[0]).toMatchObject({ data: { lookalikeId: wished.id, to: 'active' } })
      expect((await client.ask('DELETE', `/v1/audiences/${seedId}?deleteLookalikes=true`)).status).toBe(202)
      const gone = (path: string) => until(`${path} to be gone`, async () => (await client.ask('GET', path)).status === 404, PATIENCE)
      await gone(`/v1/audiences/${seedId}`)
      await gone(`/v1/lookalikes/${wished.id}`)
      const left = (await twin.state()).audiences.filter(({ id, deleted }) => [externalId, seed.externalId].includes(id) && !deleted)
      expect(left).toEqual([])
      const { data: audit } = await client.get('/v1/audit-log?limit=200')
      expect(audit.map(({ target }: Json) => String(target)).some((target: string) => target.includes(seedId))).toBe(true)
    })
  })
}
