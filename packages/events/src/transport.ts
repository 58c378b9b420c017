/**
 * The seam between what services say and what carries it: Kafka, or a log in Postgres with the same contract. Order per key,
 * at least once, redelivery from the last committed offset, retry in place. The contract's tests run on both (test/contract.ts).
 */
import type { Database } from '@audience-sync/db/database'
import type { Logger } from 'pino'
import type { AnyConsumer } from './consumer.ts'

/** A record on its way out. `key` decides the partition; headers are those of contracts/events/headers. */
export interface OutRecord {
  readonly topic: string
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  readonly value: Buffer
}

/** A record as read: where it stands is what a dead letter names. */
export interface InRecord extends OutRecord {
  readonly partition: number
  readonly offset: string
}

export interface Health {
  readonly ok: boolean
  readonly detail: string
}

export interface Subscription {
  /** Stops fetching, lets what runs finish, leaves the groups: within 10 s, whatever the handlers do. */
  stop(): Promise<void>
  healthy(): Health
}

export interface SubscribeOptions {
  readonly log: Logger
  /** Told once each time a consumer's loop is found dead; it is rebuilt by itself. */
  readonly onStall?: (consumer: string) => void
}

export interface Transport {
  readonly kind: 'kafka' | 'embedded'
  subscribe(db: Database, consumers: readonly AnyConsumer[], options: SubscribeOptions): Promise<Subscription>
  /** For the relay alone (S-1). Resolves when all are stored; order per key is that of the list. */
  send(records: readonly OutRecord[]): Promise<void>
  /** Reads a topic from its oldest record to where it ends now; for operators and tests. */
  read(topic: string, each: (record: InRecord) => Promise<void>): Promise<void>
  /** Deletes what is older than the retention, where no broker does it. */
  sweep(): Promise<void>
  healthy(): Health
  close(): Promise<void>
}

/** The carrier will never take one of these records: another try of the same batch is useless. */
export class RecordsRefused extends Error {
  override readonly name = 'RecordsRefused'
}

export const STOP_DEADLINE_MS = 10_000 // issue: stop within 10 s
export const SLICE_RECORDS = 100 // F28: at most so many in work at once per partition; also what a crash repeats at most
