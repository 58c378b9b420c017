/**
 * Accepted work that shows later. Each call is applied by itself, after `applyAfterMs`, or, with `reorder`, at any time up to ten times that: the
 * platform keeps no order between calls (SYNC C4). A call that changes nothing does not move `time_content_updated` (SYNC C20).
 */
import type { Audience } from './audiences.ts'
import type { World } from './world.ts'

/** How much later than usual a reordered call may be applied. */
const REORDER_SPAN = 9

/** @param apply does the work and says whether it changed anything @param lateMs added by a fault @param done told when this call is applied */
export const applyLater = (world: World, audience: Audience, apply: () => boolean, lateMs = 0, done?: (at: number) => void): void => {
  const { applyAfterMs, reorder } = world.settings
  const wait = reorder ? applyAfterMs * (1 + REORDER_SPAN * world.random()) : applyAfterMs
  audience.pending += 1
  world.clock.at(world.clock.now() + wait + lateMs, (at) => {
    audience.pending -= 1
    audience.uploaded = true
    if (apply()) audience.contentUpdatedAt = Math.floor(at / 1000)
    done?.(at)
  })
}
