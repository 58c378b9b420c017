/** What audiences asks of behavior-export and connections, with their refusals turned into those of our routes. */

import { publicId } from '@audience-sync/contracts/ids'
import { ErasureSubject, PendingErasures } from '@audience-sync/contracts/internal/erasures'
import { BehaviorSummary, EligibleCount, Explained, ResolveAnswer } from '@audience-sync/contracts/internal/feed'
import { AccountSummary, ResolvedDefault } from '@audience-sync/contracts/internal/grants'
import type { Purpose } from '@audience-sync/contracts/people'
import { BehaviorHealth, KnownCustomer } from '@audience-sync/contracts/rest/behaviors'
import type { Transformation } from '@audience-sync/contracts/transformations'
import { AppError } from '@audience-sync/errors/app-error'
import type { ServiceClient } from '@audience-sync/service/client'
import { behaviorFeed, type Feed, NO_TENANT } from '@audience-sync/sync-engine/peers'
import { z } from 'zod'

const TIMEOUT_MS = 5_000 // half of the time that a route has
const COUNT_TIMEOUT_MS = 30_000 // a count of everyone in a large behavior, which nobody waits for

export type Behavior = z.output<typeof BehaviorSummary>
export type Account = z.output<typeof AccountSummary>
export type Health = z.output<typeof BehaviorHealth>

export interface Peers {
  /** Ids are bare UUIDs. undefined: the tenant has no such thing. */
  behavior(tenantId: string, id: string): Promise<Behavior | undefined>
  account(tenantId: string, id: string): Promise<Account | undefined>
  /** The account that an export goes to when it names none; null: there is no default for it. */
  defaultAccount(tenantId: string, of: { destination: string; behaviorId: string; behaviorKind: string; purpose: string }): Promise<string | null>
  /** Counts stop at `atMost`; without it everyone is counted. */
  eligible(tenantId: string, behaviorId: string, purpose: Purpose, groups: number, atMost?: number): Promise<z.output<typeof EligibleCount>>
  /** What ingest noted of the members' identifiers, in figures. */
  health(tenantId: string, behaviorId: string): Promise<Health>
  /** What a connector reads, to look at the same. */
  feed(tenantId: string, behaviorId: string): Feed
  /** What is known of a customer in the behavior, after the transformations. Throws `customer_unknown`. */
  explain(tenantId: string, behaviorId: string, customerId: string, transformations: readonly Transformation[]): Promise<Explained>
  /** Throws `not_found`. */
  customer(tenantId: string, customerId: string): Promise<KnownCustomer>
  /** An erasure by its public id. */
  erasure(tenantId: string, id: string): Promise<ErasureSubject | undefined>
  /** Those of all tenants that are not complete, after the one that was seen last. */
  pendingErasures(after: string | undefined): Promise<PendingErasures>
  /** Every destination is done with this one; what proves it. */
  completeErasure(tenantId: string, id: string, jws: string): Promise<void>
  /** The tenant's ids by our numbers; erased ones are missing. */
  customerIds(tenantId: string, numbers: readonly number[]): Promise<Map<number, string>>
}

export function createPeers({ behaviorExport, connections }: { behaviorExport: ServiceClient; connections: ServiceClient }): Peers {
  const behaviorPath = (id: string) => `/internal/v1/behaviors/${publicId('behavior', id)}`
  const resolve = (tenantId: string, body: { numbers: readonly number[] }) =>
    behaviorExport.post('/internal/v1/customers/resolve', body, { tenantId, schema: ResolveAnswer, timeoutMs: TIMEOUT_MS })
  return {
    behavior: (tenantId, id) => orUndefined(behaviorExport.get(behaviorPath(id), { tenantId, schema: BehaviorSummary, timeoutMs: TIMEOUT_MS })),
    account: (tenantId, id) =>
      orUndefined(connections.get(`/internal/v1/accounts/${publicId('account', id)}`, { tenantId, schema: AccountSummary, timeoutMs: TIMEOUT_MS })),
    async defaultAccount(tenantId, query) {
      return (await connections.get('/internal/v1/default-account', { tenantId, schema: ResolvedDefault, query, timeoutMs: TIMEOUT_MS })).accountId
    },
    eligible: (tenantId, behaviorId, purpose, groups, atMost) =>
      behaviorExport.get(`${behaviorPath(behaviorId)}/eligible`, {
        tenantId,
        schema: EligibleCount,
        query: { purpose, groups, atMost },
        timeoutMs: atMost === undefined ? COUNT_TIMEOUT_MS : TIMEOUT_MS,
      }),
    health: (tenantId, behaviorId) =>
      behaviorExport.get(`${behaviorPath(behaviorId)}/health`, { tenantId, schema: BehaviorHealth, timeoutMs: COUNT_TIMEOUT_MS }),
    feed: (tenantId, behaviorId) => behaviorFeed(behaviorExport, tenantId, behaviorId),
    explain: (tenantId, behaviorId, customerId, transformations) =>
      behaviorExport.post(
        `${behaviorPath(behaviorId)}/members/${encodeURIComponent(customerId)}/explain`,
        { transformations },
        { tenantId, schema: Explained, timeoutMs: TIMEOUT_MS },
      ),
    customer: (tenantId, customerId) =>
      behaviorExport.get(`/internal/v1/customers/${encodeURIComponent(customerId)}`, { tenantId, schema: KnownCustomer, timeoutMs: TIMEOUT_MS }),
    erasure: (tenantId, id) =>
      orUndefined(behaviorExport.get(`/internal/v1/erasures/${encodeURIComponent(id)}`, { tenantId, schema: ErasureSubject, timeoutMs: TIMEOUT_MS })),
    pendingErasures: (after) =>
      behaviorExport.get('/internal/v1/pending-erasures', { tenantId: NO_TENANT, schema: PendingErasures, query: { after }, timeoutMs: TIMEOUT_MS }),
    async completeErasure(tenantId, id, jws) {
      await behaviorExport.post('/internal/v1/erasures/complete', { id, jws }, { tenantId, schema: z.unknown(), timeoutMs: TIMEOUT_MS })
    },
    async customerIds(tenantId, numbers) {
      if (numbers.length === 0) return new Map()
      return new Map((await resolve(tenantId, { numbers })).customers.map(({ no, customerId }) => [no, customerId]))
    },
  }
}

async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof AppError && (error.status === 404 || error.status === 422)) return undefined
    throw error
  }
}
