/** Reading a whole topic once, up to where it ends now. Leaves no group behind. */
import { newUuid } from '@audience-sync/contracts/ids'
import type { IHeaders, Kafka, KafkaMessage } from 'kafkajs'
import type { InRecord } from '../transport.ts'

export const toRecord = (topic: string, partition: number, { offset, key, headers, value }: KafkaMessage): InRecord => ({
  topic,
  partition,
  offset,
  key: key?.toString('utf8') ?? '',
  headers: textHeaders(headers ?? {}),
  value: value ?? Buffer.alloc(0),
})

/** Of a header that stands there twice the first counts. */
const textHeaders = (headers: IHeaders): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => {
      const first = Array.isArray(value) ? value[0] : value
      return first === undefined ? [] : [[name, first.toString()]]
    }),
  )

export async function readTopic(
  kafka: Kafka,
  brokerTopic: string,
  topic: string,
  groupPrefix: string,
  each: (record: InRecord) => Promise<void>,
): Promise<void> {
  const admin = kafka.admin()
  await admin.connect()
  const groupId = `${groupPrefix}read.${newUuid()}`
  const consumer = kafka.consumer({ groupId, allowAutoTopicCreation: false })
  try {
    const ends = new Map(
      (await admin.fetchTopicOffsets(brokerTopic))
        .filter(({ high, low }) => Number(high) > Number(low))
        .map(({ partition, high }) => [partition, Number(high)]),
    )
    if (ends.size === 0) return
    await consumer.connect()
    await consumer.subscribe({ topics: [brokerTopic], fromBeginning: true })
    await new Promise<void>((resolve, reject) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => {
        if (!payload.restart) reject(payload.error) // otherwise kafkajs tries again: the group's coordinator may just be loading
      })
      consumer
        .run({
          autoCommit: false,
          eachMessage: async ({ partition, message }) => {
            const end = ends.get(partition)
            if (end === undefined) return
            try {
              await each(toRecord(topic, partition, message))
            } catch (error) {
              reject(error)
              return
            }
            if (Number(message.offset) + 1 >= end) ends.delete(partition)
            if (ends.size === 0) resolve()
          },
        })
        .catch(reject)
    })
  } finally {
    await consumer.disconnect().catch(() => {})
    await admin.deleteGroups([groupId]).catch(() => {}) // a group that never joined is not there
    await admin.disconnect()
  }
}
