/** Number 11: use, head-room and the next runs of an account; a throttled call is a wait with an end, costs no attempt, and hurts nobody. */
import { createAudience, createBehavior, DEMO_ACCOUNT, ingest, type Json, members, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import { until } from '@audience-sync/testing/until'
import { describe, expect, test } from '@jest/globals'
import { customer, farRows, joins, people, rowsOf } from './people.ts'
import type { Stage } from './stage.ts'

const SIZE = 10
/** Points count for 300 s at the platform, and with us for up to two slots of ten seconds more. */
const DECAY_MS = 300_000
const LATER_MS = 20_000
/** Calls that are on their way between two looks. */
const MOVING = 6

/** A time of day that no test lasts until. */
const farFromNow = () => new Date(Date.now() + 12 * 3_600_000).toISOString().slice(11, 16)

export function quota(stage: Stage): void {
  const filled = async (slug: string, more: Readonly<Record<string, unknown>> = {}) => {
    const tenant = await stage.tenant(slug)
    const { client, accountId } = tenant
    const behavior = await createBehavior(client, slug)
    await ingest(client, people(0, SIZE * 2).map(customer))
    await members(client, behavior, people(0, SIZE).map(joins))
    const made = await createAudience(client, behavior, accountId, more)
    await waitRun(client, made.lastRun.id)
    const audience = await client.get(`/v1/audiences/${made.id}`)
    return { ...tenant, behavior, audienceId: made.id as string, externalId: audience.externalId as string }
  }
  const quotaOf = (client: { get(path: string): Promise<Json> }, accountId: string) => client.get(`/v1/accounts/${accountId}/quota`)
  /** Points of the account's score that calls of the last so many milliseconds cost at the platform. */
  const pointsThere = async (withinMs: number): Promise<number> => {
    const calls = (await stage.system.twin.journal()).filter(({ path }) => /^\/v26\.0\/(act_1000000000000001|2384\d+)/.test(path))
    const since = Date.parse(calls.at(-1)?.at ?? '') - withinMs
    return calls.filter(({ at }) => Date.parse(at) > since).reduce((sum, { method }) => sum + (method === 'GET' ? 1 : 3), 0)
  }

  describe('11 Quota', () => {
    test('11 Quota: what is used is what the platform counts, by whom, and what is left', async () => {
      const { client, accountId, audienceId } = await filled('quota-used')
      const shown = await until('the figures agree', async () => {
        const [score] = (await quotaOf(client, accountId)).quotas
        const [least, most] = [await pointsThere(DECAY_MS - LATER_MS), await pointsThere(DECAY_MS + LATER_MS)]
        const agrees = score.used >= least - MOVING && score.used <= most + MOVING
        if (!agrees) throw new Error(JSON.stringify({ used: score.used, least, most }))
        return score
      })
      expect(shown).toMatchObject({ id: 'api_score', capacity: 9_000, tier: 'standard_access', blockedUntil: null, low: false })
      expect(shown.headRoom).toBeCloseTo(shown.capacity - shown.used)
      expect(shown.platformPercent).toBeGreaterThan(0)
      const { usedBy } = await quotaOf(client, accountId)
      expect(usedBy.map(({ audienceId: id }: Json) => id)).toEqual([audienceId])
      expect(usedBy[0].calls).toBeGreaterThanOrEqual(3) // looked up, made, filled
    })

    test('11 Quota: for each audience of the account the next run, when it begins and ends, and whether it meets its schedule', async () => {
      const { client, accountId, audienceId, behavior } = await filled('quota-next', { schedule: { frequency: 'daily', at: farFromNow(), timeZone: 'UTC' } })
      const manual = await createAudience(client, behavior, accountId, { name: 'By hand', start: false })
      const { runs } = await quotaOf(client, accountId)
      const of = (id: string) => runs.find((run: Json) => run.audienceId === id)
      const { nextRunAt } = await client.get(`/v1/audiences/${audienceId}`)
      expect(of(audienceId)).toMatchObject({ runId: null, startsAt: nextRunAt, atRisk: false })
      expect(Date.parse(of(audienceId).endsAt)).toBeGreaterThan(Date.parse(nextRunAt))
      expect(Date.parse(of(audienceId).dueBy) - Date.parse(nextRunAt)).toBe(24 * 3_600_000)
      expect(of(manual.id)).toMatchObject({ startsAt: null, endsAt: null, dueBy: null, atRisk: false })
    })

    test.each([
      ['the account’s score, in seconds', 'score', {}],
      ['the hour’s custom audience calls, in minutes', 'hour', { code: 80003 }],
    ])('11 Quota: throttled by %s: the run waits until then, and goes on by itself; with one attempt allowed it still succeeds', async (_, slug, fault) => {
      const { twin, database } = stage.system
      const { client, audienceId, externalId, accountId, behavior } = await filled(`quota-${slug}`, { retryPolicy: { attempts: 1, windowHours: 24 } })
      await members(client, behavior, people(SIZE, SIZE * 2).map(joins))
      await twin.fault({ match: { method: 'POST', path: `${externalId}/users` }, kind: 'throttle', delayMs: 8_000, ...fault })
      const asked = await refresh(client, audienceId)
      const waiting = await waitRun(client, asked.id, ['waiting'])
      expect(waiting.waitingFor).toMatchObject({ code: 'platform_throttled', solution: expect.any(String), until: expect.any(String) })
      const limited = await client.get(`/v1/audiences/${audienceId}`)
      expect(limited).toMatchObject({ status: 'rate_limited', statusReason: { code: 'platform_throttled', until: waiting.waitingFor.until } })
      const { quotas } = await quotaOf(client, accountId)
      const blocked = quotas.find(({ id }: Json) => id === (slug === 'hour' ? 'custom_audience' : 'api_score'))
      expect(Date.parse(blocked.blockedUntil)).toBeGreaterThan(Date.now())
      if (slug === 'hour') {
        // Of its minute nobody needs to see every second.
        expect(Date.parse(blocked.blockedUntil) - Date.now()).toBeGreaterThan(30_000)
        await database.admin(`UPDATE sync.quota SET blocked_until = now() WHERE scope = $1`, [DEMO_ACCOUNT])
        await database.admin(`UPDATE sync.run SET not_before = now() WHERE status = 'waiting' AND wait_reason ->> 'code' = 'platform_throttled'`)
      }
      const done = await waitRun(client, asked.id)
      expect(done).toMatchObject({ status: 'completed', counts: { planned: SIZE, accepted: SIZE, failed: 0, unknown: 0, rejected: 0 } })
      expect(await farRows(twin, externalId)).toEqual(rowsOf(people(0, SIZE * 2)))
      const sent = (await twin.journal()).filter(({ method, path }) => method === 'POST' && path.includes(`${externalId}/users`))
      // The first upload, the one that was refused, and its repetition: nobody called on while calls were refused.
      expect(sent.map(({ status }) => status)).toEqual([200, 400, 200])
      expect(await client.get(`/v1/audiences/${audienceId}`)).toMatchObject({ status: 'active' })
    })
  })
}
