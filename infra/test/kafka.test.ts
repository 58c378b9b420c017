import { deadLettersOf, topics } from '@audience-sync/contracts/events/topics'
import { testBroker } from '@audience-sync/testing/kafka'
import { expect, test } from '@jest/globals'
import kafkajs from 'kafkajs'
import { makeTopics, topicPlans } from '../src/kafka/topics.ts'

test('every topic of the registry and its dead letters are made, with partitions and retention, and once', async () => {
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
