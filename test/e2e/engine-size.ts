/** Large enough or not: paused below the minimum, resumed above it, each crossing told once. */
import { topics } from '@audience-sync/contracts/events/topics'
import { kafkaTransport } from '@audience-sync/events/kafka/transport'
import { type Json, members, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import { describe, expect, test } from '@jest/globals'
import { pino } from 'pino'
import { eventually, filled } from './engine.ts'
import { farRows, joins, leaves, people, rowsOf } from './people.ts'
import type { Stage } from './stage.ts'

const MINIMUM = 20

export function engineSize(stage: Stage): void {
  describe('8 Size', () => {
    test('8 Size: paused below 90 % of the minimum, resumed at it, one event per crossing, and advice beside the figures', async () => {
      const { system } = stage
      const { client, audienceId, behavior, externalId, look } = await filled(stage, 'size', MINIMUM + 2, { minimumSize: MINIMUM })
      const becomes = (status: string) => eventually(`the audience is ${status}`, async () => (await look()).status === status)
      await becomes('active')
      const counted = (await eventually('the size is known', async () => {
        const now = await look()
        return now.size.eligible !== null && now
      })) as Json
      expect(counted).toMatchObject({ size: { behavior: MINIMUM + 2, eligible: MINIMUM + 2 }, sizeAdvice: { text: expect.any(String) } })

      await members(client, behavior, people(0, 5).map(leaves)) // 17 are left: 85 %
      await becomes('paused')
      expect((await look()).statusReason).toMatchObject({ code: 'audience_too_small' })
      await waitRun(client, (await refresh(client, audienceId)).id) // removals go on (C14)
      expect(await farRows(system.twin, externalId)).toEqual(rowsOf(people(5, MINIMUM + 2)))
      await members(client, behavior, people(0, 2).map(joins)) // 19: not yet the minimum
      const withheld = await client.post(`/v1/audiences/${audienceId}/plan`)
      expect(withheld).toMatchObject({ counts: { add: 0, remove: 0, suppressed: 2 }, suppressedBy: { audience_too_small: 2 } })
      await members(client, behavior, people(2, 3).map(joins)) // 20
      await becomes('active')
      await eventually('the run after it has ended', async () => (await look()).lastRun.status === 'completed')
      expect(await farRows(system.twin, externalId)).toEqual(rowsOf([...people(0, 3), ...people(5, MINIMUM + 2)]))

      const crossings = [
        { direction: 'below', minimum: MINIMUM },
        { direction: 'above', minimum: MINIMUM },
      ]
      const { data } = await client.get(`/v1/audiences/${audienceId}/history?kind=size`)
      const told = data.map(({ data }: Json) => data).filter(({ direction }: Json) => direction !== undefined)
      expect(told.toReversed()).toMatchObject(crossings)
      await eventually('both are on the bus', async () => (await events(system.brokers, audienceId)).length === crossings.length)
      expect(await events(system.brokers, audienceId)).toEqual(crossings.map(({ direction }) => direction))
    })
  })
}

/** Directions of the crossings told of one audience. */
async function events(brokers: readonly string[], audienceId: string): Promise<string[]> {
  const transport = kafkaTransport({ brokers, clientId: 'test', log: pino({ level: 'silent' }) })
  const found: string[] = []
  try {
    await transport.read(topics.audienceSizeThresholdCrossed.name, async ({ value }) => {
      const text = value.toString('latin1')
      if (text.includes(audienceId)) found.push(text.includes('below') ? 'below' : 'above')
    })
  } finally {
    await transport.close()
  }
  return found
}
