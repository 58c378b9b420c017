/** What every part of a connector's engine is given. Made once, in `connector.ts`. */
import type { Database, Tx } from '@audience-sync/db/database'
import type { Destination } from '@audience-sync/destination-kit/contract'
import type { Logger } from '@audience-sync/service/log'
import type { EngineOptions } from '../options.ts'
import type { Feed, Grants, Suppressions } from '../peers.ts'
import type { Sealer } from '../sealer.ts'
import type { LimiterClock } from '../store/limiter.ts'

export interface Engine {
  readonly db: Database
  readonly destination: Destination
  readonly destinationNo: number
  /** Name of this process in leases. */
  readonly owner: string
  readonly options: EngineOptions
  readonly log: Logger
  readonly sealer: Sealer
  readonly grants: Grants
  readonly suppressions: Suppressions
  feed(tenantId: string, behaviorId: string): Feed
  readonly random: () => number
  /** Of the limiter. */
  readonly clock: LimiterClock
}

/** A connector's transaction for one tenant's work. */
export const inTenant = <T>(engine: Engine, tenantId: string, fn: (tx: Tx) => Promise<T>): Promise<T> => engine.db.tenant(tenantId, fn)
