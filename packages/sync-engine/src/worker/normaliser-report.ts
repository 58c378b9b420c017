/**
 * A normaliser in shadow: what it would change in an audience, before anybody is said otherwise. Asked for by `audiences` as a row of
 * `normaliser_report`; counted here page by page, from the same feed and by the same fetch as a run (so with its second check of
 * consent), without a lease, a call or a point of any quota. Memory is bounded by a page.
 */

import { withNormaliser } from '@audience-sync/destination-kit/normaliser'
import { prepareAs } from '@audience-sync/destination-kit/transform'
import { AppError } from '@audience-sync/errors/app-error'
import { PAGE } from '../options.ts'
import { count, type NormaliserFigures, noFigures } from '../pure/normaliser-figures.ts'
import { readAudience } from '../store/rows.ts'
import { type Engine, inTenant } from './engine.ts'
import { choicesOf } from './job.ts'
import { personOf } from './people.ts'

const CLAIM = '2 minutes' // a page of 10,000 people takes seconds

interface Asked {
  readonly no: number
  readonly tenantId: string
  readonly audienceNo: number
  readonly version: number
  readonly atMost: number | null
}

/** Counts one report that was asked for. Answers whether there was one. */
export async function reportNormaliser(engine: Engine, stopping: AbortSignal): Promise<boolean> {
  const { db, destinationNo } = engine
  const { rows } = await db.pool.query<Asked>(
    `WITH next AS (SELECT no FROM normaliser_report WHERE destination_no = $1 AND (status = 'queued' OR (status = 'running' AND claimed_until < now()))
       ORDER BY no LIMIT 1 FOR UPDATE SKIP LOCKED)
     UPDATE normaliser_report r SET status = 'running', in_force = $2, claimed_until = now() + interval '${CLAIM}' FROM next WHERE r.no = next.no
     RETURNING r.no, r.tenant_id AS "tenantId", r.audience_no AS "audienceNo", r.version, r.at_most AS "atMost"`,
    [destinationNo, engine.destination.manifest.normaliserVersion],
  )
  const [asked] = rows
  if (!asked) return false
  try {
    const figures = await countAll(engine, asked, stopping)
    await store(engine, asked, 'done', figures, null)
  } catch (error) {
    if (stopping.aborted) return false // its claim runs out, somebody else begins again
    engine.log.warn({ err: error, audienceNo: asked.audienceNo }, 'a normaliser could not be looked at')
    await store(engine, asked, 'failed', null, { code: error instanceof AppError ? error.code : 'internal' })
  }
  return true
}

export interface ReportFigures extends NormaliserFigures {
  /** Members who may be sent, as far as the feed tells; `checked` of them were looked at. */
  of: number
}

async function countAll(engine: Engine, asked: Asked, stopping: AbortSignal): Promise<ReportFigures> {
  const { destination } = engine
  const { manifest } = destination
  const audience = await inTenant(engine, asked.tenantId, (tx) => readAudience(tx, asked.audienceNo))
  const { config, choice } = choicesOf(manifest, audience)
  const other = withNormaliser(destination, asked.version)
  const feed = engine.feed(asked.tenantId, audience.behaviorId)
  const purpose = manifest.purpose(config.settings)
  const { eligible } = await feed.eligible(purpose, choice.chosen)
  // Every so many-th person, so that old and new customers are looked at alike.
  const every = asked.atMost === null ? 1 : Math.max(1, Math.ceil(eligible / asked.atMost))
  const figures: ReportFigures = { ...noFigures(), of: 0 }
  for (let after = 0; ; ) {
    const page = await feed.members(after, stopping)
    const sendable = page.rows.filter(([, member, purposes, groups]) => member && purposes & choice.purpose && groups & choice.chosen)
    const picked = sendable.filter((_, i) => (figures.of + i) % every === 0).map(([no]) => no)
    figures.of += sendable.length
    for (let at = 0; at < picked.length; at += PAGE) {
      const { verdicts } = await feed.fetch(picked.slice(at, at + PAGE), purpose, stopping)
      for (const verdict of verdicts) {
        if (verdict.verdict !== 'send') continue
        const person = personOf(verdict)
        count(figures, manifest.keys, person, prepareAs(destination, person, config), prepareAs(other, person, config))
      }
    }
    await store(engine, asked, 'running', figures, null)
    if (page.done) return figures
    after = page.nextCustomer
  }
}

const store = ({ db }: Engine, { no }: Asked, status: 'running' | 'done' | 'failed', figures: ReportFigures | null, error: unknown): Promise<unknown> =>
  db.pool.query(
    `UPDATE normaliser_report SET status = $2, figures = coalesce($3, figures), error = $4,
       claimed_until = now() + interval '${CLAIM}', finished_at = CASE WHEN $2 <> 'running' THEN now() END WHERE no = $1 AND status = 'running'`,
    [no, status, figures && JSON.stringify(figures), error && JSON.stringify(error)],
  )

/** Written at a connector's start: `audiences` makes previews and plans with it. */
export const tellInForce = ({ db, destinationNo, destination }: Pick<Engine, 'db' | 'destinationNo' | 'destination'>): Promise<unknown> =>
  db.pool.query(
    `INSERT INTO normaliser_in_force AS n (destination_no, version, others) VALUES ($1, $2, $3)
     ON CONFLICT (destination_no) DO UPDATE SET version = excluded.version, others = excluded.others,
       since = CASE WHEN n.version = excluded.version THEN n.since ELSE now() END`,
    [destinationNo, destination.manifest.normaliserVersion, (destination.normalisers ?? []).map(({ version }) => version)],
  )
