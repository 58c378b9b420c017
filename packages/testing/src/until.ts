const PATIENCE_MS = 30_000 // what takes seconds on an idle machine, on one that is five times slower

/** Waits on a condition, never on time: polls until `check` answers something true, or fails naming what it waited for. */
export async function until<T>(what: string, check: () => T | Promise<T>, { timeoutMs = PATIENCE_MS, everyMs = 25 } = {}): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const result = await check()
      if (result) return result as NonNullable<T>
      last = result
    } catch (error) {
      last = error
    }
    if (performance.now() > deadline)
      throw new Error(`Waited ${timeoutMs} ms for: ${what}. Last seen: ${last instanceof Error ? last.stack : JSON.stringify(last)}`)
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}
