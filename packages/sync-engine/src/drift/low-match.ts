/**
 * «Few of the people sent were found»: judged at each look, told once when it becomes so. Only when the platform has finished with
 * all that it was sent, and not in an audience's first two days: until then few are there because few were counted yet.
 */
import { topics } from '@audience-sync/contracts/events/topics'
import { publicId } from '@audience-sync/contracts/ids'
import type { Tx } from '@audience-sync/db/database'
import { publish } from '@audience-sync/events/outbox'
import type { AudienceRow } from '../store/rows.ts'

/** PRODUCT.md «Low match rate»: less than 30 %. */
export const LOW = 0.3
const OVER = 0.35 // platforms round their sizes: a rate that wavers about the line is told once
const YOUNG_MS = 48 * 3_600_000 // a platform takes up to a day for what it was sent, and nightly looks come once in one

/** Kept beside what the look found; it ends with the far audience. */
export interface Judged {
  /** ISO 8601: when the far audience was looked at first. */
  readonly since: string
  readonly low: boolean
}

/** `rate`: null where nothing can be said. `finished`: the platform is done with all that it was sent. */
export function judge(before: Judged | null | undefined, { rate, finished }: { rate: number | null; finished: boolean }, now: Date): Judged {
  const { since, low } = before ?? { since: now.toISOString(), low: false }
  if (rate === null || !finished || now.getTime() - Date.parse(since) < YOUNG_MS) return { since, low }
  return { since, low: rate < (low ? OVER : LOW) }
}

/** At most one per audience and night, or look that somebody asked for. */
export const tellLowMatch = (tx: Tx, audience: AudienceRow, matchRate: number): Promise<unknown> =>
  publish(tx, {
    topic: topics.audienceMatchRateLow,
    tenantId: audience.tenantId,
    key: audience.id,
    message: { audienceId: publicId('audience', audience.id), destination: audience.destination, matchRate, threshold: LOW },
  })
