/** Rows of audiences → what the API shows of them. */
import { publicId } from '@audience-sync/contracts/ids'
import type { Audience } from '@audience-sync/contracts/rest/audiences'
import type { Run } from '@audience-sync/contracts/rest/runs'
import { nextSlot, Schedule } from '@audience-sync/contracts/schedule'
import { orm, type Tx } from '@audience-sync/db/database'
import { countedThere, matchRate } from '@audience-sync/sync-engine/match-rate'
import { run } from '@audience-sync/sync-engine/schema/run'
import type { AudienceRow, RunRow } from '@audience-sync/sync-engine/store/rows'
import { desc, sql } from 'drizzle-orm'
import type { Destinations } from './destinations.ts'
import { driftOf } from './drift.ts'
import { flaggedIn } from './names.ts'
import { wordsOf } from './reasons.ts'
import { runsJson } from './run-json.ts'
import { standingOf } from './status.ts'
import { openRuns } from './store.ts'

/** In the order given; a few statements for all of them. */
export async function audiencesJson(tx: Tx, rows: readonly AudienceRow[], destinations: Destinations): Promise<Audience[]> {
  const nos = rows.map(({ no }) => no)
  const ids = new Map(rows.map(({ no, id }) => [no, id]))
  const open = await openRuns(tx, nos)
  const last = await lastRuns(tx, nos)
  const lastJson = new Map((await runsJson(tx, last, ids, destinations)).map((json, index) => [last[index]?.audienceNo, json]))
  const { rows: clock } = await tx.query<{ now: Date }>('SELECT now() AS now')
  return rows.map((row) =>
    audienceJson(
      row,
      open.filter(({ audienceNo }) => audienceNo === row.no),
      lastJson.get(row.no) ?? null,
      destinations,
      clock[0]?.now as Date,
    ),
  )
}

export async function audienceJsonOf(tx: Tx, row: AudienceRow, destinations: Destinations): Promise<Audience> {
  const [json] = await audiencesJson(tx, [row], destinations)
  return json as Audience
}

/** The newest run of each that is not for privacy. */
async function lastRuns(tx: Tx, nos: readonly number[]): Promise<RunRow[]> {
  if (nos.length === 0) return []
  const newest = sql`${run.no} IN (
    SELECT (SELECT r.no FROM run r WHERE r.audience_no = a.no AND r.trigger <> 'privacy' ORDER BY r.no DESC LIMIT 1) FROM unnest(${sql.param(nos)}::int[]) AS a(no))`
  return orm(tx).select().from(run).where(newest).orderBy(desc(run.no))
}

function audienceJson(row: AudienceRow, open: readonly RunRow[], lastRun: Run | null, destinations: Destinations, now: Date): Audience {
  const { status, reason } = standingOf(row, open)
  const schedule = Schedule.parse(row.schedule)
  const rests = row.pausedAt !== null || row.deleteRequestedAt !== null
  return {
    id: publicId('audience', row.id),
    status,
    statusReason: reason,
    behaviorId: publicId('behavior', row.behaviorId),
    destination: row.destination,
    accountId: publicId('account', row.accountId),
    connectionId: publicId('connection', row.connectionId),
    externalId: row.externalId,
    adopted: row.adopted,
    name: row.name,
    description: row.description,
    purpose: row.purpose as Audience['purpose'],
    campaignRef: row.campaignRef,
    schedule,
    identifiers: row.identifiers as Audience['identifiers'],
    transformations: row.transformations as Audience['transformations'],
    retryPolicy: row.retryPolicy as Audience['retryPolicy'],
    brake: row.brake as Audience['brake'],
    minimumSize: row.minimumSize,
    drift: driftOf(row),
    settings: row.settings as Audience['settings'],
    size: { behavior: row.sizeBehavior, eligible: row.sizeEligible, destination: row.sizeDestination, asOf: row.sizeAsOf?.toISOString() ?? null },
    matchRate: matchRate(row, floorOf(row, destinations)),
    destinationState: row.farState as Audience['destinationState'],
    sizeAdvice: sizeAdvice(row, destinations),
    nameWarnings: nameWarnings(row, row.destination, destinations),
    notices: notices(row, destinations),
    lastRun,
    nextRunAt: rests ? null : (nextSlot(schedule, now)?.toISOString() ?? null),
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  }
}

const floorOf = ({ destination }: AudienceRow, destinations: Destinations) => destinations.get(destination)?.manifest.sizeFloor

/** By what the platform counts, else by what we would send. */
function sizeAdvice(row: AudienceRow, destinations: Destinations): Audience['sizeAdvice'] {
  const { destination, sizeEligible } = row
  const size = countedThere(row.sizeDestination, floorOf(row, destinations)) ?? sizeEligible
  if (size === null) return null
  const band = destinations.get(destination)?.manifest.sizeBands.find(({ upTo }) => upTo === null || size <= upTo)
  return band ? { band: band.band, text: band.text, limitedReach: band.limitedReach ?? false } : null
}

/** As the destination's rules look at an audience. */
export const choiceOf = ({ purpose, settings, adopted, sizeEligible }: Pick<AudienceRow, 'purpose' | 'settings' | 'adopted' | 'sizeEligible'>) => ({
  purpose: purpose as Audience['purpose'],
  settings,
  adopted,
  eligible: sizeEligible,
})

/** What follows from the choice, and from what the destination shows; flags and ends are findings of `drift`. */
function notices(row: AudienceRow, destinations: Destinations): Audience['notices'] {
  const shown = row.farState as Audience['destinationState']
  const chosen = destinations.get(row.destination)?.manifest.notices?.(choiceOf(row)) ?? []
  const all = shown?.state === 'too_small' ? [...chosen, { code: 'delivery_too_small', detail: shown.detail }] : chosen
  return all.map(({ code, detail }) => ({ ...wordsOf(code), ...(detail && { detail }) }))
}

export const nameWarnings = (texts: { name: string; description: string }, destination: string, destinations: Destinations): Audience['nameWarnings'] =>
  flaggedIn(texts, destinations.get(destination)?.manifest.names).map((found) => ({ ...wordsOf('name_flagged'), ...found, words: [...found.words] }))
