/**
 * Accepted work that shows later. Each call is applied by itself, after `applyAfterMs`, or, with `reorder`, at any time up to ten times that: the
 * platform keeps no order between calls (SYNC C4). A call that changes nothing does not move `time_content_updated` (SYNC C20).
 */
import type { Audience } from './audiences.ts'
import type { World } from './world.ts'

const DAY_MS = 86_400_000
/** For how long the platform knows which EXTERN_ID belongs to whom (§1). */
const EXTERN_ID_MS = 90 * DAY_MS

/** How much later than usual a reordered call may be applied. */
const REORDER_SPAN = 9

/** @param apply does the work and says whether it changed anything @param lateMs added by a fault @param done told when this call is applied */
export const applyLater = (world: World, audience: Audience, apply: (at: number) => boolean, lateMs = 0, done?: (at: number) => void): void => {
  const { applyAfterMs, reorder } = world.settings
  const wait = reorder ? applyAfterMs * (1 + REORDER_SPAN * world.random()) : applyAfterMs
  audience.pending += 1
  world.clock.at(world.clock.now() + wait + lateMs, (at) => {
    audience.pending -= 1
    audience.uploaded = true
    if (apply(at)) audience.contentUpdatedAt = Math.floor(at / 1000)
    done?.(at)
  })
}

/** Rows that were just said end by and by: those past the audience's retention go, and EXTERN_IDs are forgotten. */
export const ageRows = (world: World, audience: Audience, schema: readonly string[], at: number): void => {
  if (audience.retentionDays !== undefined)
    world.clock.at(at + audience.retentionDays * DAY_MS, (due) => {
      if (audience.members.expire(at)) audience.contentUpdatedAt = Math.floor(due / 1000)
    })
  if (schema.includes('EXTERN_ID')) world.clock.at(at + EXTERN_ID_MS, () => audience.members.forgetExternIds(at))
}
