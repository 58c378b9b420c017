/**
 * Dead letters given once more to the consumer that could not use them, after a fix. Each in a transaction of its own, behind an
 * inbox of its own (`<consumer>.redrive`), so that a second redrive does not repeat what the first has done. Who fails again stays
 * where it is. Other consumers of the topic see nothing.
 */
import { deadLettersOf } from '@audience-sync/contracts/events/topics'
import type { Database } from '@audience-sync/db/database'
import type { Logger } from 'pino'
import type { AnyConsumer } from './consumer.ts'
import { letterHeader, openLetter } from './dead-letters.ts'
import { open } from './envelope.ts'
import type { InRecord, Transport } from './transport.ts'

export interface RedriveParts {
  readonly transport: Transport
  readonly db: Database
  readonly consumer: AnyConsumer
  /** 32 bytes: the key that the letters were sealed with. */
  readonly deadLetterKey: Buffer
  readonly log: Logger
  readonly signal?: AbortSignal
}

export interface Redriven {
  readonly applied: number
  readonly repeated: number
  readonly failed: number
}

export async function redrive({ transport, db, consumer, deadLetterKey, log, signal = new AbortController().signal }: RedriveParts): Promise<Redriven> {
  const result = { applied: 0, repeated: 0, failed: 0 }
  await transport.read(deadLettersOf(consumer.topic.name), async (letter) => {
    if (letter.headers[letterHeader.consumer] !== consumer.name) return
    try {
      result[await again(letter)] += 1
    } catch (error) {
      result.failed += 1
      log.warn({ consumer: consumer.name, letter: letter.headers[letterHeader.id], err: error }, 'still cannot be used')
    }
  })
  return result

  async function again(letter: InRecord): Promise<'applied' | 'repeated'> {
    const event = open(consumer.topic, openLetter(deadLetterKey, letter))
    return db.tenant(event.tenantId, async (tx) => {
      const { rowCount } = await tx.query('INSERT INTO inbox (tenant_id, consumer, event_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', [
        event.tenantId,
        `${consumer.name}.redrive`,
        letter.headers[letterHeader.id],
      ])
      if (rowCount === 0) return 'repeated'
      await consumer.handle(tx, [event], { log, signal })
      return 'applied'
    })
  }
}
