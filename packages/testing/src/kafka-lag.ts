/** How far each consumer group is behind the end of its topics, in records; groups that have nothing to read are left out. */
import kafkajs from 'kafkajs'

export async function consumerLag(brokers: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const { Kafka, logLevel } = kafkajs
  const admin = new Kafka({ clientId: 'lag', brokers: [...brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    const { groups } = await admin.listGroups()
    const ends = new Map<string, Promise<Map<number, bigint>>>()
    const endsOf = (topic: string) => {
      const known = ends.get(topic)
      if (known) return known
      const asked = admin.fetchTopicOffsets(topic).then((partitions) => new Map(partitions.map(({ partition, high }) => [partition, BigInt(high)])))
      ends.set(topic, asked)
      return asked
    }
    const lag = new Map<string, number>()
    for (const { groupId } of groups) {
      let behind = 0n
      for (const { topic, partitions } of await admin.fetchOffsets({ groupId })) {
        const end = await endsOf(topic)
        // Without a committed offset (-1) nothing was read, and everything is still to be read.
        for (const { partition, offset } of partitions) behind += (end.get(partition) ?? 0n) - BigInt(Math.max(0, Number(offset)))
      }
      lag.set(groupId, Number(behind))
    }
    return lag
  } finally {
    await admin.disconnect()
  }
}
