/**
 * The senders of one process. A round leases endpoints that are due and gives each a slice: what is due is sent, a few at a time,
 * until nothing is, the slice is over, or the endpoint asks for less; then the lease is given back. A slow endpoint takes one place
 * of many, so others do not wait for it. Order is not promised.
 */
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import type { Database } from '@audience-sync/db/database'
import type { Logger } from '@audience-sync/service/log'
import { type Claimed, claimEndpoints, type Due, readWork, release, type Work } from './claim.ts'
import { record } from './outcome.ts'
import type { Poster } from './post.ts'
import type { Secrets } from './secrets.ts'
import { signedHeaders } from './sign.ts'

const PLACES = 64 // endpoints served at once; each holds a socket or four and little memory
const AT_ONCE = 4 // requests to one endpoint (RELIABILITY.md F21)
const SLICE_MS = 25_000 // no attempt begins later: with its 20 s and the writing it ends within the lease of 60 s

export interface Worker {
  /** Takes what is due. Answers whether more may be. */
  round(): Promise<boolean>
  /** Begins nothing new, and waits for what is under way. */
  stop(): Promise<void>
}

export interface WorkerOptions {
  readonly db: Database
  readonly secrets: Secrets
  readonly poster: Poster
  readonly log: Logger
  readonly random?: () => number
}

export function createWorker({ db, secrets, poster, log, random = Math.random }: WorkerOptions): Worker {
  const slices = new Set<Promise<void>>()
  let stopping = false

  async function slice(claimed: Claimed, lease: string, since: number): Promise<void> {
    const mayBegin = () => !stopping && performance.now() - since < SLICE_MS
    while (mayBegin()) {
      const work = await db.tenant(claimed.tenantId, (tx) => readWork(tx, claimed, lease, secrets))
      if (!work) break
      if (!(await sendAll(claimed, work, mayBegin))) break
    }
    await db.tenant(claimed.tenantId, (tx) => release(tx, claimed, lease))
  }

  /** Answers whether the endpoint takes more. */
  async function sendAll(claimed: Claimed, { url, secrets: keys, due }: Work, mayBegin: () => boolean): Promise<boolean> {
    const queue = [...due]
    let more = true
    const one = async () => {
      for (let next = queue.shift(); next && more && mayBegin(); next = queue.shift()) more = (await send(claimed, url, keys, next)) && more
    }
    await Promise.all(Array.from({ length: AT_ONCE }, one))
    return more
  }

  async function send(claimed: Claimed, url: string, keys: readonly string[], due: Due): Promise<boolean> {
    const at = new Date()
    const headers = signedHeaders(publicId('delivery', due.id), Math.floor(at.getTime() / 1_000), due.body, keys)
    const answer = await poster.post(url, headers, due.body)
    return db.tenant(claimed.tenantId, (tx) => record(tx, claimed, due, at, answer, random))
  }

  return {
    async round() {
      if (stopping || slices.size >= PLACES) return false
      const since = performance.now() // before the claim: the lease began later
      const free = PLACES - slices.size
      const lease = newUuid() // of this round: what an earlier one still holds late is not ours to give back
      const claimed = await claimEndpoints(db, lease, free)
      for (const endpoint of claimed) {
        const running: Promise<void> = slice(endpoint, lease, since)
          .catch((error: unknown) => log.error({ err: error, tenantId: endpoint.tenantId, endpointId: endpoint.endpointId }, 'a slice ended early'))
          .finally(() => slices.delete(running))
        slices.add(running)
      }
      return claimed.length === free
    },
    async stop() {
      stopping = true
      await Promise.all(slices)
    },
  }
}
