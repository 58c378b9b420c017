/** How often, and for how long, a call that failed or was not answered is sent again within its run: as the audience chose, else as F10 has it. Pure. */
import { UNKNOWN_TRIES } from '../options.ts'

/** As stored with the audience, checked when it was saved. What is missing is the engine's own. */
export interface StoredPolicy {
  readonly attempts?: number
  readonly windowHours?: number
  readonly backoffSeconds?: number
}

const HOUR_MS = 3_600_000
const DEFAULT_WINDOW_HOURS = 24

/** Whether a run ends here, after `attempts` calls. What is not known then is what the next run begins with. */
export function givesUp(
  { attempts: most = UNKNOWN_TRIES, windowHours = DEFAULT_WINDOW_HOURS }: StoredPolicy,
  attempts: number,
  startedAt: Date | null,
  now: number,
): boolean {
  return attempts >= most || (startedAt !== null && now - startedAt.getTime() >= windowHours * HOUR_MS)
}

/** First pause, in milliseconds. */
export const firstPauseMs = ({ backoffSeconds }: StoredPolicy, engineMs: number): number => (backoffSeconds === undefined ? engineMs : backoffSeconds * 1_000)
