/**
 * A consumer is data: who (its name is the inbox's and the group's), which topic, and a handler that does all it does in the
 * transaction that it is given. The transports run it; `apply` keeps the rules of S-3.
 */
import type { Topic } from '@audience-sync/contracts/events/topics'
import type { Database, Tx } from '@audience-sync/db/database'
import type { Message } from '@bufbuild/protobuf'
import type { Logger } from 'pino'

export interface ReceivedEvent<M extends Message> {
  /** ce_id: unique per tenant; what the inbox remembers. */
  readonly id: string
  /** UUID. */
  readonly tenantId: string
  /** The aggregate's id as its publisher gave it, without the tenant. */
  readonly key: string
  readonly headers: Readonly<Record<string, string>>
  readonly message: M
  /** ce_time; when it came in, where its publisher gave none. */
  readonly occurredAt: Date
  /** Version of the aggregate, where the publisher gave one. */
  readonly version: number | undefined
  readonly traceparent: string | undefined
}

export interface HandlerContext {
  readonly log: Logger
  /** Aborts when the service stops or the deadline of the call has passed. */
  readonly signal: AbortSignal
}

export interface Consumer<M extends Message> {
  /** `<service>.<what>`, for example `audiences.behavior-updated`. Never renamed: its offsets and its inbox hang on it. */
  readonly name: string
  readonly topic: Topic<M>
  /** Looks at the headers before anything is parsed; false passes the event over. */
  readonly wants?: (headers: Readonly<Record<string, string>>) => boolean
  /**
   * On topics that other teams publish to: the tenant's UUID for the name that they know it by; undefined: there is none. Without it
   * only UUIDs are understood, bare or as `ten_…`.
   */
  readonly tenantNamed?: (db: Database, name: string) => Promise<string | undefined>
  /** Up to so many events of one tenant in one transaction; without it each event has its own. */
  readonly batch?: { readonly messages: number }
  /**
   * All events are of one tenant, none was seen before, their inbox rows are in `tx` already and `app.tenant_id` is set on it.
   * May run again from the start (deadlock, crash): everything it does belongs in `tx`. Throw `PoisonError` for an event that
   * can never be used; anything else is taken as passing trouble and tried again in place.
   */
  handle(tx: Tx, events: readonly ReceivedEvent<M>[], context: HandlerContext): Promise<void>
}

// biome-ignore lint/suspicious/noExplicitAny: consumers of different messages stand in one list; each is called with its own kind only
export type AnyConsumer = Consumer<any>

export const defineConsumer = <M extends Message>(consumer: Consumer<M>): Consumer<M> => consumer

/** This event will never be usable: to the dead letters with it, and on. `detail` is logged: never personal data. */
export class PoisonError extends Error {
  override readonly name = 'PoisonError'
  readonly code: string

  constructor(code: string, detail: string) {
    super(detail)
    this.code = code
  }
}

/** For code that learns its tenant inside a transaction. Local to the transaction. */
export async function setTenant(tx: Tx, tenantId: string): Promise<void> {
  await tx.query(`SELECT set_config('app.tenant_id', $1, true)`, [tenantId])
}
