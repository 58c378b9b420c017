/**
 * One connection of a subscription that holds its advisory locks and hears the notifications. Locks belong to the connection:
 * when it dies, they are free for others at that moment, and every reader here must take its own again. A ping with a deadline
 * finds the connection that neither answers nor closes.
 */

import pg from 'pg'
import type { Logger } from 'pino'
import { atMost, backoffMs, pause } from '../backoff.ts'
import { CHANNEL } from './log.ts'

const STOP_MS = 1_000 // for a connection that is just being made
const MAX_RECONNECT_MS = 5_000 // Postgres is on the same machine or the next one

export interface Session {
  /** True when this session has the lock, now or already. */
  lock(name: string): Promise<boolean>
  connected(): boolean
  stop(): Promise<void>
}

export interface SessionOptions {
  readonly url: string
  readonly log: Logger
  readonly pingMs: number
  readonly onNotice: (payload: string) => void
  /** Locks can be taken (again). */
  readonly onReady: () => void
  /** The connection was lost or found dead. */
  readonly onLost: () => void
}

export function openSession({ url, log, pingMs, onNotice, onReady, onLost }: SessionOptions): Session {
  const stopping = new AbortController()
  let client: pg.Client | undefined
  let held = new Map<string, Promise<boolean>>()

  /** One query at a time: pg would queue them, but warns of it. */
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(query: () => Promise<T>): Promise<T> => {
    const mine = turn.then(query)
    turn = mine.catch(() => {})
    return mine
  }

  const connectOnce = async (): Promise<{ dead: Promise<void>; mine: pg.Client }> => {
    const mine = new pg.Client({ connectionString: url, application_name: 'bus subscription', connectionTimeoutMillis: pingMs, query_timeout: pingMs })
    const dead = new Promise<void>((resolve) => {
      mine.on('error', () => resolve())
      mine.on('end', () => resolve())
    })
    await mine.connect()
    mine.on('notification', ({ payload }) => onNotice(payload ?? ''))
    await mine.query(`LISTEN ${CHANNEL}`)
    return { dead, mine }
  }

  const keep = async () => {
    for (let attempt = 0; !stopping.signal.aborted; attempt += 1) {
      try {
        const { dead, mine } = await connectOnce()
        held = new Map()
        client = mine
        attempt = 0
        onReady()
        const lost = new AbortController()
        dead.then(() => lost.abort())
        while (!lost.signal.aborted && !stopping.signal.aborted) {
          await pause(pingMs, AbortSignal.any([lost.signal, stopping.signal]))
          if (!lost.signal.aborted && !stopping.signal.aborted) await inTurn(() => mine.query('SELECT 1'))
        }
      } catch (error) {
        log.warn({ err: error }, 'the bus connection is down')
      }
      const gone = client
      client = undefined
      cut(gone)
      if (!stopping.signal.aborted) {
        onLost()
        await pause(backoffMs(attempt, MAX_RECONNECT_MS), stopping.signal)
      }
    }
  }
  const kept = keep()

  return {
    async lock(name) {
      const mine = client
      if (!mine) return false
      const locks = held
      const known = locks.get(name)
      if (known) return known
      const asked = inTurn(() => mine.query<{ got: boolean }>('SELECT pg_try_advisory_lock(hashtext($1), hashtext($2)) AS got', ['bus', name])).then(
        ({ rows }) => rows[0]?.got ?? false,
        () => false,
      )
      locks.set(name, asked)
      const got = await asked
      if (!got) locks.delete(name)
      return got && locks === held
    },
    connected: () => client !== undefined,
    async stop() {
      stopping.abort()
      cut(client)
      await atMost(STOP_MS, kept)
    },
  }
}

/** Cut rather than closed, for it may not answer: the server frees its locks once it notices. */
const cut = (client: pg.Client | undefined) => (client as unknown as { connection: { stream: { destroy(): void } } } | undefined)?.connection.stream.destroy()
