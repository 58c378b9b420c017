/**
 * The twin's own clock: real time plus what was pushed. Services never read it; they see it only in `Date` headers and in the platform's own times.
 * Work waits in order of its due time and runs when that time has come, by a timer or because the clock was pushed. It is given its due time, so
 * that a push over an hour leaves the same traces as an hour of waiting.
 */
export type TwinClock = {
  /** Milliseconds since 1970 by the twin's clock. */
  now(): number
  /** Pushes the clock and runs what fell due on the way. */
  advance(ms: number): void
  /** Runs `work` once the clock shows `due`. */
  at(due: number, work: (due: number) => void): void
  /** Runs what is due by now; called before a request is looked at, because a busy process fires its timers late. */
  settle(): void
  /** Drops waiting work and the push. */
  reset(): void
  stop(): void
}

type Waiting = { due: number; work: (due: number) => void }

/** A longer timer overflows and fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export const createClock = (real: () => number = Date.now): TwinClock => {
  let offset = 0
  let waiting: Waiting[] = []
  let timer: NodeJS.Timeout | undefined
  const now = () => real() + offset

  const settle = () => {
    for (let next = waiting[0]; next !== undefined && next.due <= now(); next = waiting[0]) {
      waiting.shift()
      next.work(next.due)
    }
    arm()
  }
  const arm = () => {
    clearTimeout(timer)
    const next = waiting[0]
    if (next === undefined) return
    timer = setTimeout(settle, Math.min(Math.max(next.due - now(), 1), LONGEST_TIMER_MS))
    timer.unref()
  }

  return {
    now,
    settle,
    advance: (ms) => {
      offset += ms
      settle()
    },
    at: (due, work) => {
      const place = waiting.findLastIndex((other) => other.due <= due) + 1
      waiting.splice(place, 0, { due, work })
      if (place === 0) arm()
    },
    reset: () => {
      offset = 0
      waiting = []
      clearTimeout(timer)
    },
    stop: () => clearTimeout(timer),
  }
}
