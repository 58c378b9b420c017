/** Which identifiers leave, and in which form: presets, several addresses, values that come hashed. */
import { createAudience, createBehavior, ingest, type Json, members, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import { describe, expect, test } from '@jest/globals'
import { later, sha256 } from './people.ts'
import type { Stage } from './stage.ts'

const CONSENT = { adUserData: 'granted', adPersonalization: 'granted' }

export function engineMapping(stage: Stage): void {
  describe('6 Mapping', () => {
    const setUp = async (slug: string, crowd: readonly { customerId: string; identifiers: Record<string, unknown> }[], more: object) => {
      const tenant = await stage.tenant(slug)
      const { client, accountId } = tenant
      const behavior = await createBehavior(client, slug)
      const tell = (some: typeof crowd) =>
        ingest(
          client,
          some.map((one) => ({ consent: CONSENT, ...one, occurredAt: later() })),
        )
      await tell(crowd)
      await members(
        client,
        behavior,
        crowd.map(({ customerId }) => ({ customerId, member: true, occurredAt: later() })),
      )
      const made = await createAudience(client, behavior, accountId, { ...more })
      const run = await waitRun(client, made.lastRun.id)
      const { externalId } = await client.get(`/v1/audiences/${made.id}`)
      const far = async () => {
        await stage.system.twin.clock(60_000)
        return (await stage.system.twin.audience(externalId)).members
      }
      return { ...tenant, made, run, tell, far }
    }

    test('6 Mapping: what comes hashed is sent as it came, never hashed twice, beside what comes in the clear', async () => {
      const [plain, hashed] = ['m1@example.com', sha256('m2@example.com')]
      const { run, far } = await setUp(
        'hashed',
        [
          { customerId: 'm1', identifiers: { email: plain } },
          { customerId: 'm2', identifiers: { email: hashed.toUpperCase() } },
          { customerId: 'm3', identifiers: { email: sha256('') } }, // the hash of nothing names nobody
        ],
        { identifiers: ['email'] },
      )
      expect(run).toMatchObject({ counts: { added: 2, suppressed: 1 } })
      expect((await far()).map(({ EMAIL }) => EMAIL).sort()).toEqual([sha256(plain), hashed].sort())
    })

    test('6 Mapping: somebody with several e-mails is found by each; one that is taken away goes alone, and another comes', async () => {
      const mail = (n: number) => `several${n}@example.com`
      const { client, made, run, tell, far } = await setUp('several', [{ customerId: 's1', identifiers: { email: mail(1), emails: [mail(2), mail(3)] } }], {
        identifiers: ['email'],
      })
      const addresses = async () => [...new Set((await far()).map(({ EMAIL }) => EMAIL))].sort()
      expect(run.counts).toMatchObject({ planned: 1, added: 1 }) // one person, however many rows
      expect(await addresses()).toEqual([1, 2, 3].map((n) => sha256(mail(n))).sort())
      // Taken away only, the addition that follows would change nothing, and Meta shows no end of what changes nothing (SYNC.md C20).
      await tell([{ customerId: 's1', identifiers: { email: mail(1), emails: [mail(3), mail(4)] } }])
      expect(await waitRun(client, (await refresh(client, made.id)).id)).toMatchObject({ counts: { planned: 1, replaced: 1 } })
      expect(await addresses()).toEqual([1, 3, 4].map((n) => sha256(mail(n))).sort())
    })

    test('6 Mapping: a preset of the destination stands for its identifiers, and only those leave', async () => {
      const { client } = await stage.tenant('preset-list')
      const { presets } = await client.get('/v1/destinations/meta')
      expect(presets.length).toBeGreaterThan(0)
      const preset = presets.find(({ identifiers }: Json) => identifiers.length === 1 && identifiers[0] === 'email') ?? presets[0]
      const { made, far } = await setUp(
        'preset',
        [{ customerId: 'p1', identifiers: { email: 'p1@example.com', phone: '+14155550101', firstName: 'Ann', lastName: 'Lee', country: 'US' } }],
        { identifierPreset: preset.id },
      )
      expect(made.identifiers).toEqual(preset.identifiers)
      const [row = {}] = await far()
      expect('EMAIL' in row).toBe(preset.identifiers.includes('email'))
      expect('PHONE' in row).toBe(preset.identifiers.includes('phone'))
      expect('FN' in row).toBe(preset.identifiers.includes('name'))
    })
  })
}
