/** What the tests of the engine's numbers share: an audience in step, what must be true of every answer, and an account of one's own at the twin. */
import { createAudience, createBehavior, ingest, type Json, members, waitRun } from '@audience-sync/testing/conductor-client'
import { until } from '@audience-sync/testing/until'
import { expect } from '@jest/globals'
import { customer, joins, people } from './people.ts'
import type { Stage, Tenant } from './stage.ts'

export interface Filled extends Tenant {
  readonly behavior: string
  readonly audienceId: string
  readonly externalId: string
  /** Of the audience, as it is now. */
  look(): Promise<Json>
  explain(customerId: string): Promise<Json>
  /** Of the platform's uploads to this audience: what a fault is made to match. */
  readonly uploads: { readonly path: string }
}

/** An audience of the first `size` people, all there and applied. */
export async function filled(stage: Stage, slug: string, size: number, more: Readonly<Record<string, unknown>> = {}): Promise<Filled> {
  const tenant = await stage.tenant(slug)
  const { client, accountId } = tenant
  const behavior = await createBehavior(client, slug)
  await ingest(client, people(0, size).map(customer))
  await members(client, behavior, people(0, size).map(joins))
  const made = await createAudience(client, behavior, accountId, more)
  await waitRun(client, made.lastRun.id)
  const look = () => client.get(`/v1/audiences/${made.id}`)
  const { externalId } = await look()
  const explain = (customerId: string) => client.get(`/v1/audiences/${made.id}/members/${customerId}`)
  return { ...tenant, behavior, audienceId: made.id, externalId, look, explain, uploads: { path: `${externalId}/users` } }
}

const PATIENCE_MS = 60_000 // of tests on a busy machine: what holds holds at once on an idle one

export const eventually: typeof until = (what, holds, options) => until(what, holds, { timeoutMs: PATIENCE_MS, ...options })

/** API.md «Run»: true at every moment. */
export function addUp({ counts: c }: Json): void {
  expect(c.accepted + c.rejected + c.failed + c.cancelled + c.unknown + c.waiting).toBe(c.planned)
  expect(c.added + c.removed + c.replaced).toBe(c.accepted)
  expect(c.applied).toBeLessThanOrEqual(c.accepted)
}
