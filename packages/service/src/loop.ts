/** Work that comes by itself: a function called again and again, one call at a time, until it is stopped. */
import type { Logger } from './log.ts'

const HEALTHY_WITHIN_MS = 60_000 // a loop that has failed for a minute beyond its pause is reported

export interface LoopOptions {
  readonly name: string
  readonly log: Logger
  /** Pause between calls. */
  readonly everyMs: number
  /** One round. Answers true when more is waiting, and is then called again at once. What it throws is logged and tried again. */
  readonly work: (signal: AbortSignal) => Promise<boolean>
}

export interface Loop {
  /** Lets the round that runs finish. */
  stop(): Promise<void>
  /** Does not wait out the pause. */
  wake(): void
  healthy(): { ok: boolean; detail: string }
}

export function startLoop({ name, log, everyMs, work }: LoopOptions): Loop {
  const stopping = new AbortController()
  let lastGood = performance.now()
  let resume = () => {}
  let woken = false

  const pause = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, everyMs)
      resume = () => {
        clearTimeout(timer)
        resolve()
      }
      if (stopping.signal.aborted || woken) resume()
    })

  const running = (async () => {
    while (!stopping.signal.aborted) {
      let more = false
      woken = false
      try {
        more = await work(stopping.signal)
        lastGood = performance.now()
      } catch (error) {
        if (!stopping.signal.aborted) log.error({ err: error, what: name }, 'a round failed')
      }
      if (!more) await pause()
    }
  })()

  return {
    async stop() {
      stopping.abort()
      resume()
      await running
    },
    wake() {
      woken = true
      resume()
    },
    healthy: () =>
      performance.now() - lastGood < everyMs + HEALTHY_WITHIN_MS ? { ok: true, detail: name } : { ok: false, detail: `${name} has been failing for a minute` },
  }
}
