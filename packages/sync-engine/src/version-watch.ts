/**
 * Says in time that the platform will stop serving the configured version of its API: a log line at the start and once a day, and a
 * gauge of the days that are left. A version that has ended does not start at all: that the destination refuses by itself.
 */
import type { Manifest } from '@audience-sync/destination-kit/manifest-contract'
import { gauge } from '@audience-sync/service/gauge'
import type { Logger } from '@audience-sync/service/log'
import { type Loop, startLoop } from '@audience-sync/service/loop'

const DAY_MS = 86_400_000

export function startVersionWatch({ id, versionLife }: Manifest, log: Logger, now: () => Date = () => new Date()): Loop | undefined {
  if (!versionLife) return undefined
  const daysLeft = gauge(
    'destination.api_version.days_left',
    'days until the platform ends the configured version of its API; by a guess where it named no day',
  )
  return startLoop({
    name: 'api version',
    log,
    everyMs: DAY_MS,
    async work() {
      const life = versionLife(now())
      if (life.endsOn) daysLeft(Math.floor((Date.parse(life.endsOn) - now().getTime()) / DAY_MS), { destination: id, version: life.version })
      if (life.state !== 'current') log.warn({ destination: id, ...life }, 'the version of the platform’s API ends')
      return false
    },
  })
}
