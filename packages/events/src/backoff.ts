/** Waiting between tries: full jitter over a doubling cap, given up at once when the signal says so. */
const BASE_MS = 100
const CAP_MS = 30_000 // F6: a broker that is back is noticed within half a minute

export const backoffMs = (attempt: number, capMs = CAP_MS, random = Math.random): number =>
  Math.ceil(random() * Math.min(capMs, BASE_MS * 2 ** Math.min(attempt, 20)))

/** Resolves after `ms`, or as soon as the signal aborts. Never rejects. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}

/** A bell that one loop waits on: `ring` before `wait` is not lost. */
export function bell(): { ring(): void; wait(ms: number, signal: AbortSignal): Promise<void> } {
  let rung = false
  let wake: AbortController | undefined
  return {
    ring() {
      rung = true
      wake?.abort()
    },
    async wait(ms, signal) {
      wake = new AbortController()
      if (!rung) await pause(ms, AbortSignal.any([wake.signal, signal]))
      rung = false
    },
  }
}

/** Waits for `work`, but no longer than `ms`; what is still running then is left to itself. Rejections are swallowed. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController()
  await Promise.race([work.catch(() => {}), pause(ms, over.signal)])
  over.abort()
}

/** Rejects when `work` takes longer than `ms`; what it does later is nobody's any more. */
export async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`${what} took longer than ${ms} ms`)), ms)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
