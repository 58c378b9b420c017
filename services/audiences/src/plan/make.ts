/**
 * A plan: what a run would do, looked at and not done.
 *
 * One plan's life: everyone whom a run would look at is decided about (`look`, `tally`) → the brake says whether it would hold it →
 * calls, quota and time are estimated (`cost`), a few people's requests shown masked (`samples`) → figures and a digest are stored
 * for an hour → applied, everything is looked at anew: the same digest is a run up to that very bound, another one is `plan_stale`
 * (`apply`).
 */
import { newUuid } from '@audience-sync/contracts/ids'
import type { IdentifierChoice } from '@audience-sync/contracts/people'
import type { Plan } from '@audience-sync/contracts/rest/plans'
import { orm, type Tx } from '@audience-sync/db/database'
import type { AudienceRow } from '@audience-sync/sync-engine/store/rows'
import { type Brake, checkBrake } from '@audience-sync/sync-engine/worker/brake'
import { RunHolds } from '@audience-sync/sync-engine/worker/endings'
import { sql } from 'drizzle-orm'
import { refuseUnlessReady } from '../actions.ts'
import { destinationAt } from '../destinations.ts'
import { asSent } from '../normaliser.ts'
import type { Health } from '../peers.ts'
import { quotasOf } from '../quota.ts'
import type { RouteParts } from '../routes/parts.ts'
import { plan } from '../schema.ts'
import { findAudience } from '../store.ts'
import { costOf, UNKNOWN_CALL_MS } from './cost.ts'
import { type Look, look } from './look.ts'
import { sampleRequests } from './samples.ts'
import type { Tally } from './tally.ts'

const LIVES = sql`interval '1 hour'` // time to read it and ask a colleague; by then many behaviors have changed anyway
const LATEST_CALLS = 50 // whose times an estimate follows

export type PlanRow = typeof plan.$inferSelect
export type NewPlan = Omit<typeof plan.$inferInsert, 'id' | 'createdAt' | 'expiresAt'>

/** Everything but the row. Sends nothing; at most three people are decrypted. */
export async function makePlan(parts: RouteParts, tenantId: string, audienceId: string, signal: AbortSignal): Promise<NewPlan> {
  const { db, peers, destinations } = parts
  const { audience, destination } = await db.tenant(tenantId, async (tx) => {
    const row = await findAudience(tx, audienceId)
    await refuseUnlessReady(tx, row)
    return { audience: row, destination: await asSent(tx, destinationAt(destinations, row.destination)) }
  })
  const { manifest } = destination
  const feed = peers.feed(tenantId, audience.behaviorId)
  const seen = await look({ db, feed, manifest, signal }, audience)
  const { tally } = seen
  const [health, verdicts] = await Promise.all([
    peers.health(tenantId, audience.behaviorId),
    tally.examples.length > 0 ? feed.fetch(tally.examples, manifest.purpose(audience.settings), signal).then((answer) => answer.verdicts) : [],
  ])
  const { hold, cost } = await db.tenant(tenantId, async (tx) => ({
    hold: await holdOf(tx, audience, tally),
    cost: costOf(manifest, {
      counts: tally.counts,
      newAudience: audience.externalId === null,
      quotas: await quotasOf(tx, manifest, audience.accountExternalId),
      callMs: await callMs(tx, audience.no),
      now: new Date(),
    }),
  }))
  const shown = {
    suppressedBy: tally.suppressedBy,
    identifiers: coverage(audience, health),
    ...cost,
    sampleRequests: sampleRequests(destination, audience, verdicts),
  }
  return { ...standing(audience, seen), digest: tally.digest, counts: tally.counts, hold, shown }
}

export async function storePlan(tx: Tx, made: NewPlan): Promise<PlanRow> {
  const [row] = await orm(tx)
    .insert(plan)
    .values({ ...made, id: newUuid(), createdAt: sql`now()` as never, expiresAt: sql`now() + ${LIVES}` as never })
    .returning()
  return row as PlanRow
}

/** What the plan rests on besides people. */
export const standing = ({ tenantId, no, configVersion, generation, cursor }: AudienceRow, { bound }: Look) => ({
  tenantId,
  audienceNo: no,
  mode: bound.mode,
  epoch: bound.epoch,
  bound: bound.below,
  cursor,
  configVersion,
  generation,
})

/** The figures with which the brake would hold it, or null. */
async function holdOf(tx: Tx, { no, tenantNo, destinationNo, generation, brake }: AudienceRow, tally: Tally): Promise<Record<string, unknown> | null> {
  const planned = { removals: tally.counts.remove - tally.privacy, sample: tally.leaving }
  try {
    await checkBrake(tx, { scope: { audienceNo: no, tenantNo, destinationNo, generation } }, planned, brake as Brake, null)
    return null
  } catch (error) {
    if (!(error instanceof RunHolds)) throw error
    const { sample: _people, ...figures } = error.figures
    return figures
  }
}

async function callMs(tx: Tx, audienceNo: number): Promise<number> {
  const { rows } = await tx.query<{ ms: number | null }>(
    `SELECT avg(duration_ms)::float8 AS ms FROM (SELECT c.duration_ms FROM call c JOIN run r ON r.no = c.run_no
       WHERE r.audience_no = $1 ORDER BY r.no DESC, c.no DESC LIMIT ${LATEST_CALLS}) AS latest`,
    [audienceNo],
  )
  return rows[0]?.ms ?? UNKNOWN_CALL_MS
}

/** Of the chosen identifiers, as ingest noted them. */
const coverage = ({ identifiers }: AudienceRow, health: Health): Plan['identifiers'] =>
  Object.fromEntries((identifiers as IdentifierChoice[]).map((one) => [one, health.identifiers[one]]))
