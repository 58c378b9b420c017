/**
 * `Idempotency-Key`: the same request twice has one effect and the same answer (RELIABILITY.md §3.4).
 *
 * The answer is stored in the transaction that does the work, so there is never one without the other. While that runs, an
 * advisory lock of the transaction marks the key as taken: a crash frees it, and nothing is left to clean up. A refusal
 * (an error of any kind) rolls back with the work and is not stored; the same key may try again.
 */
import { createHash } from 'node:crypto'
import type { Database, Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from './log.ts'
import { type Loop, startLoop } from './loop.ts'

const KEY = /^[\x21-\x7e]{1,255}$/
const KEPT = '24 hours' // API.md
const RETRY_MS = 1_000 // most work takes less
const SWEEP_EVERY_MS = 3_600_000 // an answer is kept a day, or an hour more

export interface Answer {
  readonly status: number
  readonly body: unknown
}

/**
 * Runs `fn` in the tenant's transaction and answers with what it gives. With an `Idempotency-Key` the first answer is
 * repeated for 24 hours. Raises `idempotency_key_reused` for another request and `idempotency_in_flight` while the first runs.
 */
export async function idempotent(db: Database, request: FastifyRequest, reply: FastifyReply, fn: (tx: Tx) => Promise<Answer>): Promise<void> {
  const { tenantId } = request.auth
  const key = request.headers['idempotency-key']
  if (key !== undefined && (typeof key !== 'string' || !KEY.test(key))) {
    throw new AppError('validation_failed', 'Idempotency-Key must be 1 to 255 visible ASCII characters.', {
      extra: { errors: [{ in: 'header', path: 'idempotency-key', message: 'must be 1 to 255 visible ASCII characters' }] },
    })
  }
  const answer = await db.tenant(tenantId, async (tx) => {
    if (key === undefined) return serialized(reply, await fn(tx))
    const entry = { tenantId, route: `${request.method} ${request.routeOptions.url}`, key, fingerprint: fingerprint(request) }
    await lock(tx, entry)
    const before = await stored(tx, entry)
    if (before) return before
    const now = serialized(reply, await fn(tx))
    await store(tx, entry, now)
    return now
  })
  reply.code(answer.status)
  if (answer.body === '') await reply.send()
  else await reply.type('application/json; charset=utf-8').send(answer.body)
}

interface Entry {
  readonly tenantId: string
  readonly route: string
  readonly key: string
  readonly fingerprint: Buffer
}

interface StoredAnswer {
  readonly status: number
  readonly body: string
}

async function lock(tx: Tx, { tenantId, route, key }: Entry): Promise<void> {
  const { rows } = await tx.query<{ free: boolean }>('SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS free', [
    JSON.stringify(['idempotency', tenantId, route, key]),
  ])
  if (!rows[0]?.free) throw new AppError('idempotency_in_flight', 'The first request with this key has not been answered yet.', { retryAfterMs: RETRY_MS })
}

async function stored(tx: Tx, { tenantId, route, key, fingerprint }: Entry): Promise<StoredAnswer | undefined> {
  const { rows } = await tx.query<StoredAnswer & { same: boolean }>(
    `SELECT status, body, fingerprint = $4 AS same FROM idempotency
     WHERE tenant_id = $1 AND route = $2 AND key = $3 AND created_at > now() - interval '${KEPT}'`,
    [tenantId, route, key, fingerprint],
  )
  if (rows[0] && !rows[0].same) throw new AppError('idempotency_key_reused', 'The key was used with another path or body.')
  return rows[0]
}

async function store(tx: Tx, { tenantId, route, key, fingerprint }: Entry, { status, body }: StoredAnswer): Promise<void> {
  await tx.query(
    `INSERT INTO idempotency (tenant_id, route, key, fingerprint, status, body) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (tenant_id, route, key) DO UPDATE
     SET fingerprint = excluded.fingerprint, status = excluded.status, body = excluded.body, created_at = now()`,
    [tenantId, route, key, fingerprint, status, body],
  )
}

/** The body as it will be sent, by the route's response schema: a replay is the same bytes. */
function serialized(reply: FastifyReply, { status, body }: Answer): StoredAnswer {
  reply.code(status)
  return { status, body: body === undefined || body === null ? '' : String(reply.serialize(body)) }
}

const fingerprint = ({ url, body }: FastifyRequest) =>
  createHash('sha256')
    .update(`${url}\n${canonical(body)}`)
    .digest()

/** Equal content, equal text, whatever the order of the members. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  ) ?? ''

/** Forgets answers older than 24 hours, of all tenants. Answers how many. */
export const sweepIdempotency = (db: Database): Promise<number> =>
  db.tx(async (tx) => (await tx.query(`DELETE FROM idempotency WHERE created_at < now() - interval '${KEPT}'`)).rowCount ?? 0)

/** Sweeps every hour; for a service's `start`. */
export const startIdempotencySweep = (db: Database, log: Logger): Loop =>
  startLoop({
    name: 'idempotency.sweep',
    log,
    everyMs: SWEEP_EVERY_MS,
    work: async () => {
      await sweepIdempotency(db)
      return false
    },
  })
