/**
 * Which normaliser a destination's connector speaks with, and what another one would change. `audiences` only asks: the connector
 * counts, because it alone may read people (`sync-engine/worker/normaliser-report.ts`).
 */
import { publicId } from '@audience-sync/contracts/ids'
import type { NormaliserFigures, NormaliserReport, NormaliserReportRequest, NormaliserSummary } from '@audience-sync/contracts/rest/normalisers'
import type { Tx } from '@audience-sync/db/database'
import type { Destination } from '@audience-sync/destination-kit/contract'
import { normalisersOf, withNormaliser } from '@audience-sync/destination-kit/normaliser'
import { AppError } from '@audience-sync/errors/app-error'
import type { AudienceRow } from '@audience-sync/sync-engine/store/rows'
import type { ReportFigures } from '@audience-sync/sync-engine/worker/normaliser-report'
import type { z } from 'zod'
import { wordsOf } from './reasons.ts'

interface InForce {
  readonly version: number
  readonly others: readonly number[]
  readonly since: Date
}

async function readInForce(tx: Tx, destination: string): Promise<InForce | undefined> {
  const { rows } = await tx.query<InForce>(
    'SELECT version, others, since FROM normaliser_in_force WHERE destination_no = (SELECT no FROM destination WHERE id = $1)',
    [destination],
  )
  return rows[0]
}

/** The destination as its connector sends: what plans, previews and explanations are made with. Before a connector's first start, its own choice. */
export async function asSent(tx: Tx, destination: Destination): Promise<Destination> {
  const version = (await readInForce(tx, destination.manifest.id))?.version
  return normalisersOf(destination).some((one) => one.version === version) ? withNormaliser(destination, version) : destination
}

/** The version to look at: one that the connector has beside the one in force. Throws `normaliser_unknown`. */
async function choose(tx: Tx, destination: string, asked: number | undefined): Promise<InForce & { readonly chosen: number }> {
  const inForce = await readInForce(tx, destination)
  const chosen = asked ?? Math.max(0, ...(inForce?.others ?? []))
  if (!inForce?.others.includes(chosen))
    throw new AppError('normaliser_unknown', `The connector of ${destination} has no such version beside the one in force.`)
  return { ...inForce, chosen }
}

/** Asks for a report, unless the same is under way. */
export async function askReport(tx: Tx, audience: AudienceRow, { version, sample }: NormaliserReportRequest): Promise<z.output<typeof NormaliserReport>> {
  const { chosen } = await choose(tx, audience.destination, version)
  await tx.query(
    `INSERT INTO normaliser_report (tenant_id, destination_no, audience_no, version, at_most) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (audience_no, version) WHERE status IN ('queued', 'running') DO NOTHING`,
    [audience.tenantId, audience.destinationNo, audience.no, chosen, sample === 'all' ? null : sample],
  )
  return lastReport(tx, audience, chosen)
}

/** The same for every audience of the tenant at this destination. */
export async function askReports(tx: Tx, destination: string, { version, sample }: NormaliserReportRequest): Promise<z.output<typeof NormaliserSummary>> {
  const { chosen } = await choose(tx, destination, version)
  await tx.query(
    `INSERT INTO normaliser_report (tenant_id, destination_no, audience_no, version, at_most)
     SELECT tenant_id, destination_no, no, $2, $3 FROM audience WHERE destination = $1 AND deleted_at IS NULL AND delete_requested_at IS NULL ORDER BY no
     ON CONFLICT (audience_no, version) WHERE status IN ('queued', 'running') DO NOTHING`,
    [destination, chosen, sample === 'all' ? null : sample],
  )
  return summary(tx, destination, chosen)
}

interface ReportRow {
  readonly version: number
  readonly in_force: number | null
  readonly status: 'queued' | 'running' | 'done' | 'failed'
  readonly at_most: number | null
  readonly figures: ReportFigures | null
  readonly error: { readonly code: string } | null
  readonly requested_at: Date
  readonly finished_at: Date | null
}

/** The newest report, of any version unless one is given. Throws `not_found`. */
export async function lastReport(tx: Tx, audience: AudienceRow, version?: number): Promise<z.output<typeof NormaliserReport>> {
  const { rows } = await tx.query<ReportRow>(
    'SELECT * FROM normaliser_report WHERE audience_no = $1 AND ($2::int IS NULL OR version = $2) ORDER BY no DESC LIMIT 1',
    [audience.no, version ?? null],
  )
  const [row] = rows
  if (!row) throw new AppError('not_found', 'No report was asked for.')
  return {
    ...plain(row.figures),
    audienceId: publicId('audience', audience.id),
    destination: audience.destination,
    version: row.version,
    inForce: row.in_force,
    status: row.status,
    sample: row.at_most ?? 'all',
    examples: row.figures?.examples.map((one) => ({ ...one, shape: { ...one.shape } })) ?? [],
    error: row.error && wordsOf(row.error.code),
    requestedAt: row.requested_at.toISOString(),
    finishedAt: row.finished_at?.toISOString() ?? null,
  }
}

/** Of the newest report of each audience that compares with the version in force. */
export async function summary(tx: Tx, destination: string, version?: number): Promise<z.output<typeof NormaliserSummary>> {
  const { chosen, version: inForce, others, since } = await choose(tx, destination, version)
  const { rows } = await tx.query<{ status: ReportRow['status'] | null; figures: ReportFigures | null }>(
    `SELECT r.status, CASE WHEN r.status = 'done' THEN r.figures END AS figures FROM audience a
     LEFT JOIN LATERAL (SELECT status, figures FROM normaliser_report WHERE audience_no = a.no AND version = $2 AND (in_force IS NULL OR in_force = $3) ORDER BY no DESC LIMIT 1) r ON true
     WHERE a.destination = $1 AND a.deleted_at IS NULL`,
    [destination, chosen, inForce],
  )
  const total = plain(null)
  for (const { figures } of rows) addTo(total, plain(figures))
  return {
    ...total,
    destination,
    version: chosen,
    inForce,
    since: since.toISOString(),
    versions: [inForce, ...others].sort((a, b) => a - b),
    audiences: rows.length,
    reported: rows.filter(({ status }) => status === 'done').length,
    open: rows.filter(({ status }) => status === 'queued' || status === 'running').length,
  }
}

const plain = (figures: ReportFigures | null): NormaliserFigures => ({
  of: figures?.of ?? 0,
  checked: figures?.checked ?? 0,
  changed: figures?.changed ?? 0,
  becomeUsable: figures?.becomeUsable ?? 0,
  becomeUnusable: figures?.becomeUnusable ?? 0,
  byKey: { ...figures?.byKey },
})

function addTo(total: NormaliserFigures, { byKey, ...one }: NormaliserFigures): void {
  for (const name of ['of', 'checked', 'changed', 'becomeUsable', 'becomeUnusable'] as const) total[name] += one[name]
  for (const [key, { other, gained, lost }] of Object.entries(byKey)) {
    const known = total.byKey[key] ?? { other: 0, gained: 0, lost: 0 }
    total.byKey[key] = { other: known.other + other, gained: known.gained + gained, lost: known.lost + lost }
  }
}
