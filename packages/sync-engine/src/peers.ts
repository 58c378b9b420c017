/** The two services that a connector asks: who should be where (behavior-export), and a token to speak with (connections). */
import { publicId } from '@audience-sync/contracts/ids'
import {
  ChangesPage,
  EligibleCount,
  type FeedRow,
  FetchAnswer,
  Horizon,
  MembersPage,
  RowsAnswer,
  SuppressionsPage,
} from '@audience-sync/contracts/internal/feed'
import { Grant, type GrantReport } from '@audience-sync/contracts/internal/grants'
import type { Purpose } from '@audience-sync/contracts/people'
import { AppError } from '@audience-sync/errors/app-error'
import type { ServiceClient } from '@audience-sync/service/client'
import { z } from 'zod'
import { PAGE } from './options.ts'

const PAGE_TIMEOUT_MS = 30_000 // 10,000 rows, or 10,000 people decrypted, on a busy machine
const RETRIES = 3 // of a read, by the client
const GRANT_MS = 5 * 60_000 // DESIGN.md: access tokens stay in memory five minutes at most
/** The suppression log is everybody's: its reader speaks for no tenant. */
/** For what concerns all tenants. */
export const NO_TENANT = '00000000-0000-0000-0000-000000000000'

export interface Feed {
  horizon(signal?: AbortSignal): Promise<Horizon>
  changes(after: string, below: string, signal?: AbortSignal): Promise<ChangesPage>
  members(afterCustomer: number, signal?: AbortSignal): Promise<MembersPage>
  rows(customers: readonly number[], signal?: AbortSignal): Promise<readonly FeedRow[]>
  fetch(customers: readonly number[], purpose: Purpose, signal?: AbortSignal): Promise<z.output<typeof FetchAnswer>>
  eligible(purpose: Purpose, groups: number, atMost?: number): Promise<z.output<typeof EligibleCount>>
}

/** C7: an answer without what its trailer promises is not used. */
function whole<T extends { readonly count: number }>(answer: T, rows: readonly unknown[], asked = answer.count): T {
  if (rows.length !== answer.count || answer.count !== asked) throw new AppError('service_unavailable', 'An answer of behavior-export is cut short.')
  return answer
}

/** The feed of one behavior, given as bare UUIDs. */
export function behaviorFeed(client: ServiceClient, tenantId: string, behaviorId: string): Feed {
  const at = `/internal/v1/behaviors/${publicId('behavior', behaviorId)}`
  const options = { tenantId, timeoutMs: PAGE_TIMEOUT_MS, retries: RETRIES }
  return {
    horizon: (signal) => client.get(`${at}/horizon`, { ...options, schema: Horizon, signal }),
    async changes(after, below, signal) {
      const page = await client.get(`${at}/changes`, { ...options, schema: ChangesPage, query: { after, below, limit: PAGE }, signal })
      return whole(page, page.rows)
    },
    async members(afterCustomer, signal) {
      const page = await client.get(`${at}/members`, { ...options, schema: MembersPage, query: { afterCustomer, limit: PAGE }, signal })
      return whole(page, page.rows)
    },
    async rows(customers, signal) {
      const answer = await client.post(`${at}/rows`, { customers }, { ...options, schema: RowsAnswer, signal })
      return whole(answer, answer.rows, customers.length).rows
    },
    async fetch(customers, purpose, signal) {
      const answer = await client.post(`${at}/fetch`, { customers, purpose }, { ...options, schema: FetchAnswer, signal })
      return whole(answer, answer.verdicts, customers.length)
    },
    eligible: (purpose, groups, atMost) =>
      client.get(`${at}/eligible`, { ...options, schema: EligibleCount, query: { purpose, groups, ...(atMost && { atMost }) } }),
  }
}

export interface Suppressions {
  after(position: string): Promise<SuppressionsPage>
}

export const suppressionLog = (client: ServiceClient): Suppressions => ({
  async after(position) {
    const page = await client.get('/internal/v1/suppressions', {
      tenantId: NO_TENANT,
      schema: SuppressionsPage,
      query: { after: position, limit: PAGE },
      timeoutMs: PAGE_TIMEOUT_MS,
    })
    return whole(page, page.rows)
  },
})

export interface Grants {
  /** A token for the account; remembered for five minutes. Throws the refusal of connections as an `AppError`. */
  get(tenantId: string, accountId: string): Promise<Grant>
  /** The platform did not take it: tell connections, and ask anew next time. */
  report(tenantId: string, grant: Grant, problem: GrantReport['problem'], platform?: GrantReport['platform']): Promise<void>
  /** Something about a connection has changed: ask anew. */
  forget(): void
}

export function accountGrants(client: ServiceClient, now: () => number = Date.now): Grants {
  const held = new Map<string, { readonly grant: Grant; readonly until: number }>()
  return {
    async get(tenantId, accountId) {
      const known = held.get(accountId)
      if (known && known.until > now()) return known.grant
      const grant = await client.post(`/internal/v1/accounts/${publicId('account', accountId)}/grant`, {}, { tenantId, schema: Grant, retries: RETRIES })
      const expires = grant.expiresAt ? Date.parse(grant.expiresAt) : Number.POSITIVE_INFINITY
      held.set(accountId, { grant, until: Math.min(now() + GRANT_MS, expires) })
      return grant
    },
    async report(tenantId, grant, problem, platform) {
      held.clear()
      await client.post(
        `/internal/v1/connections/${grant.connectionId}/report`,
        { version: grant.version, problem, ...(platform && { platform }) },
        { tenantId, schema: z.unknown(), retries: RETRIES },
      )
    },
    forget: () => held.clear(),
  }
}
