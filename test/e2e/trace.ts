/** One trace, from the REST call through Kafka to the platform call. */

import { topics } from '@audience-sync/contracts/events/topics'
import { kafkaTransport } from '@audience-sync/events/kafka/transport'
import { createAudience, createBehavior, ingest, type Json, members, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import type { ServiceName } from '@audience-sync/testing/conductor-plans'
import { describe, expect, test } from '@jest/globals'
import { pino } from 'pino'
import { eventually } from './engine.ts'
import { customer, joins, people, person } from './people.ts'
import type { Stage } from './stage.ts'

const SERVICES: readonly ServiceName[] = ['gateway', 'audiences', 'behavior-export', 'connections', 'connector-meta']

export function trace(stage: Stage): void {
  describe('one trace id', () => {
    test('is in the answer, the Kafka header, the run’s call log and the log lines of each service', async () => {
      const { system } = stage
      const { client, accountId } = await stage.tenant('trace')
      const behavior = await createBehavior(client, 'traced')
      await ingest(client, people(0, 5).map(customer))
      await members(client, behavior, people(0, 4).map(joins))
      const made = await createAudience(client, behavior, accountId)
      await waitRun(client, made.lastRun.id)
      await members(client, behavior, [joins(person(4))])
      // Another process forgets the tokens that it remembers, so that this run asks connections, too.
      await system.restart('connector-meta', 'SIGTERM')

      const asked = await refresh(client, made.id)
      const { traceId } = asked
      expect(traceId).toMatch(/^[0-9a-f]{32}$/)
      const run = await waitRun(client, asked.id)
      expect(run).toMatchObject({ status: 'completed', traceId, counts: { added: 1 } })

      const { data: calls } = await client.get(`/v1/runs/${run.id}/calls`)
      expect(calls.length).toBeGreaterThan(0)
      for (const call of calls) expect(call.traceId).toBe(traceId)
      // A worker may have looked before the event went out, and a line is written after its answer.
      await eventually('the request is on Kafka', async () => (await traceparents(system.brokers, made.id)).some((header) => header.includes(traceId)))
      await eventually('each service has a line of it', () => SERVICES.every((name) => traceIds(system.logs(name)).has(traceId)))
    })
  })
}

const traceIds = (log: string): ReadonlySet<string> =>
  new Set(
    log
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => (JSON.parse(line) as Json).trace_id),
  )

/** Headers of the requests for one audience. */
async function traceparents(brokers: readonly string[], audienceId: string): Promise<string[]> {
  const transport = kafkaTransport({ brokers, clientId: 'test', log: pino({ level: 'silent' }) })
  const found: string[] = []
  try {
    await transport.read(topics.audienceSyncRequested.name, async ({ headers, value }) => {
      if (value.includes(audienceId)) found.push(headers.traceparent ?? '')
    })
  } finally {
    await transport.close()
  }
  return found
}
