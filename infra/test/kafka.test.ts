import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deadLettersOf, topics } from '@audience-sync/contracts/events/topics'
import { brokerAvailable, testBroker } from '@audience-sync/testing/kafka'
import { expect, test } from '@jest/globals'
import kafkajs from 'kafkajs'
import { startKafka } from '../src/kafka/server.ts'
import { makeTopics, topicPlans } from '../src/kafka/topics.ts'

const available = await brokerAvailable() // fails where CI is set
const promise = available.ok ? test : (_name: string, _fn: () => Promise<void>, _ms?: number) => undefined
if (!available.ok) test(`no broker here: ${available.why}`, () => expect(process.env.CI).toBeUndefined())

promise('every topic of the registry and its dead letters are made, with partitions and retention, and once', async () => {
  const { brokers } = await testBroker()
  const prefix = 'infra.'
  const names = Object.values(topics).flatMap(({ name }) => [name, deadLettersOf(name)])
  expect(await makeTopics(brokers, { prefix })).toEqual(names.map((name) => `${prefix}${name}`))
  expect(await makeTopics(brokers, { prefix })).toEqual([])
  expect(topicPlans.map(({ topic }) => topic)).toEqual(names)
  const admin = new kafkajs.Kafka({ clientId: 'test', brokers, logLevel: kafkajs.logLevel.NOTHING }).admin()
  await admin.connect()
  const { topics: made } = await admin.fetchTopicMetadata({ topics: [`${prefix}customer.changed`] })
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: `${prefix}customer.changed`, configNames: ['retention.ms', 'max.message.bytes'] }],
  })
  await admin.disconnect()
  expect(made[0]?.partitions).toHaveLength(6)
  const config = Object.fromEntries(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue]) ?? [])
  expect(config['retention.ms']).toBe(String(7 * 24 * 3_600_000))
  expect(Number(config['max.message.bytes'])).toBeGreaterThan(1_048_576)
})

promise(
  'a broker that the last start left behind is replaced, and what it held is there',
  async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'audience-sync-left-kafka-'))
    const left = await startKafka({ dataDir })
    await makeTopics(left.brokers, { only: ['tenant.changed'] })
    const next = await startKafka({ dataDir })
    expect(() => process.kill(left.pid, 0)).toThrow('ESRCH')
    expect(await makeTopics(next.brokers, { only: ['tenant.changed'] })).toEqual([])
    await next.stop()
    await left.stop()
    expect(() => process.kill(next.pid, 0)).toThrow('ESRCH')
    rmSync(dataDir, { recursive: true, force: true })
  },
  180_000,
)
