import { topics } from '@audience-sync/contracts/events/topics'
import { brokerAvailable } from '@audience-sync/testing/kafka'
import { until } from '@audience-sync/testing/until'
import { describe, expect, test } from '@jest/globals'
import { publish } from '../src/outbox.ts'
import { contract } from './contract.ts'
import { keysNamed, say, TENANTS, topic } from './effects.ts'
import { kafkaRig } from './rig.ts'

const available = await brokerAvailable() // fails where CI is set
if (available.ok)
  describe('the contract, on Kafka', () => {
    contract(kafkaRig)

    test('a topic that was never made holds its keys and no others', async () => {
      const { database, relay, transport, end } = await kafkaRig()
      try {
        const db = database.as('behavior_export')
        await db.tenant(TENANTS[0], (tx) => publish(tx, { topic: topics.connectionChanged, tenantId: TENANTS[0], key: 'con_1', message: {} }))
        await say(db, keysNamed(3), 1, 2)
        const relaying = await relay()
        await until('the others are sent', async () => (await database.admin('SELECT key FROM behavior_export.outbox WHERE published_at IS NULL')).length === 1)
        await until('it is told', () => !relaying.healthy().ok)
        let read = 0
        await transport('audiences').read(topic.name, async () => {
          read += 1
        })
        expect(read).toBe(6)
      } finally {
        await end()
      }
    })
  })
else
  test(`the contract was tried on the log in Postgres alone: ${available.why}`, () => {
    console.warn(`Kafka was left out: ${available.why}`)
    expect(process.env.CI).toBeUndefined()
  })
