/**
 * One at a time over all pods: what is read, computed and written back at a platform would lose another writer's part. The lock dies
 * with its connection, and holds no transaction open while the platform answers (R2).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '@audience-sync/db/database'

const POLL_MS = 100 // a turn lasts a few calls

export async function alone<T>({ pool }: Database, what: readonly (string | number)[], signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const client = await pool.connect()
  const key = [JSON.stringify(what)]
  let broken: Error | undefined
  const mine = async () => (await client.query<{ mine: boolean }>('SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS mine', key)).rows[0]?.mine === true
  try {
    while (!(await mine())) await sleep(POLL_MS, undefined, { signal })
    try {
      return await work()
    } finally {
      await client.query('SELECT pg_advisory_unlock(hashtextextended($1, 0))', key).catch((error: Error) => {
        broken = error
      })
    }
  } finally {
    client.release(broken)
  }
}
