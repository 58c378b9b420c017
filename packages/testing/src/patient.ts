import { until } from './until.ts'

const PATIENCE_MS = 60_000
const AGAIN_MS = 500

/**
 * A caller who does what a 503 says and comes again. Of a hundred callers at once a service turns some away when the machine is so slow
 * that its database has none free for them within three seconds (RELIABILITY.md F7): that is an answer, and not what a storm is about.
 */
export const patiently = <A extends { readonly status: number }>(ask: () => Promise<A>): Promise<A> =>
  until(
    'an answer other than 503',
    async () => {
      const answer = await ask()
      if (answer.status === 503) throw new Error(JSON.stringify(answer))
      return answer
    },
    { timeoutMs: PATIENCE_MS, everyMs: AGAIN_MS },
  )
