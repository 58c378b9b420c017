/**
 * How each platform answers this tenant, for the status page: from the calls of the last minutes and the quotas that are blocked now.
 * Many failed calls are the platform's trouble; a single refused request is the caller's, and shows at its audience.
 */
import type { PlatformHealth } from '@audience-sync/contracts/rest/gateway'
import type { Tx } from '@audience-sync/db/database'
import type { Destinations } from './destinations.ts'

const WINDOW_MINUTES = 15 // some runs long; what is older says nothing of now
const DEGRADED_SHARE = 0.1 // fewer lost answers than that are the weather of the internet
const DOWN_AFTER = 3 // one lost answer of one call is no outage

interface Seen {
  readonly id: string
  readonly calls: number
  readonly failed: number
  readonly answered_at: Date | null
  readonly blocked_until: Date | null
  /** The platform's own, of its newest answers. */
  readonly warning: string | null
}

export async function platformHealth(tx: Tx, destinations: Destinations): Promise<PlatformHealth[]> {
  const { rows } = await tx.query<Seen>(
    `SELECT d.id, seen.*, (
       SELECT max(q.blocked_until) FROM quota q WHERE q.destination_no = d.no AND q.blocked_until > now()
         AND (q.scope = '' OR q.scope IN (SELECT account_external_id FROM audience WHERE destination_no = d.no AND deleted_at IS NULL))) AS blocked_until
     FROM destination d CROSS JOIN LATERAL (
       SELECT count(*)::int AS calls, count(*) FILTER (WHERE status IS NULL OR status >= 500)::int AS failed,
         max(started_at) FILTER (WHERE status < 500) AS answered_at, max(response->>'platformWarning') AS warning
       FROM call WHERE destination_no = d.no AND started_at > now() - interval '${WINDOW_MINUTES} minutes') AS seen
     WHERE d.id = ANY($1)`,
    [[...destinations.keys()]],
  )
  return [...destinations.values()].map(({ manifest: { id, title, statusPage, versionLife } }) => {
    const seen = rows.find((row) => row.id === id) ?? { id, calls: 0, failed: 0, answered_at: null, blocked_until: null, warning: null }
    const life = versionLife?.(new Date())
    return {
      destination: id,
      title,
      ...judge(seen),
      calls: seen.calls,
      failed: seen.failed,
      windowMinutes: WINDOW_MINUTES,
      lastAnswerAt: seen.answered_at?.toISOString() ?? null,
      blockedUntil: seen.blocked_until?.toISOString() ?? null,
      warnings: [...(life && life.state !== 'current' ? [life.text] : []), ...(seen.warning === null ? [] : [`${title} says: ${seen.warning}`])],
      statusPage,
    }
  })
}

/** Pure. What the figures mean. */
export function judge({ calls, failed, blocked_until }: Pick<Seen, 'calls' | 'failed' | 'blocked_until'>): Pick<PlatformHealth, 'state' | 'text'> {
  if (calls >= DOWN_AFTER && failed === calls)
    return { state: 'down', text: 'It answers no call. Nothing is lost; the work goes on by itself when it answers.' }
  if (failed > 0 && failed / calls >= DEGRADED_SHARE)
    return { state: 'degraded', text: 'It leaves many calls without an answer. They are tried again by themselves.' }
  if (blocked_until) return { state: 'degraded', text: 'It allows no more calls for now. The work goes on by itself.' }
  return { state: 'ok', text: calls === 0 ? 'It was not called lately.' : 'It answers.' }
}
