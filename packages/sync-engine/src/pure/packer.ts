/**
 * Packs people into batches: as few calls as the platform's limit allows, never two lanes in one call, never a person's rows in
 * two calls. Bounded: at most one open and one finished batch per session are held, whatever the size of the audience.
 *
 * Additions of one lane form a session, whose last batch is marked: a finished one is held back until the next is begun. A
 * removal is a session of its own, because its rows may come from an older choice of keys and a session's schema must not
 * change. Removals of a person go out before their additions (SYNC.md C1).
 *
 * `add` and `flush` are generators: a batch counts as out only when it is taken, so that while it is being stored everything after
 * it is still in `has` and `oldestPage`, and the cursor cannot pass it (C3). Each must be run to its end.
 */
import type { KeySet, Operation } from '@audience-sync/destination-kit/contract'
import type { HeldSet } from './held.ts'
import type { Kind } from './payload.ts'

/** One half of a person's change, as it goes into a batch and into the ledger. */
export interface Part {
  readonly customerNo: number
  readonly operation: Operation
  readonly kind: Kind
  readonly sets: readonly KeySet[]
  readonly heldAfter: readonly HeldSet[]
  /** Of the identifiers that were fetched (C9); null on a removal, which leaves the ledger's. */
  readonly fingerprint: number | null
  /** Which page of the source it came from: the cursor may pass a page when all its parts are stored. */
  readonly page: number
  /** More of the same person follows, the addition after a removal or another piece, and until it is stored the person is left to do. */
  readonly half?: boolean
  /** Something of the same person goes out before: the removal that has to be accepted before this addition, or another piece. */
  readonly afterRemoval: boolean
  readonly suppressionsAt: string
  /** Times that the platform has refused this person. */
  readonly refused?: number
}

/**
 * Whoever was refused goes in ever smaller batches. A platform that refuses a batch when it has worked on it, all of it for one bad row
 * and without a name, refuses fewer good ones each time, and at the fifth only the bad one.
 */
const SMALLER = 10
const limitOf = (limit: number, refused: number): number => Math.max(1, Math.floor(limit / SMALLER ** refused))

export interface Packed {
  readonly operation: Operation
  readonly lane: string
  /** Of one lane, those that are numbered together. */
  readonly series: string
  readonly parts: readonly Part[]
  /** Position in the session of this lane's additions; removals are always 1. */
  readonly seq: number
  readonly last: boolean
}

interface Session {
  open: Part[]
  rows: number
  finished: Part[] | undefined
  seq: number
}

export class Packer {
  readonly #limit: number
  readonly #lane: (set: KeySet) => string
  readonly #sessions = new Map<string, Session>()
  readonly #unsent = new Set<Part>()
  /** People with parts in no batch yet, with the number of parts; and of those the removals. */
  readonly #people = new Map<number, number>()
  readonly #removals = new Map<number, number>()

  constructor(limit: number, lane: (set: KeySet) => string) {
    this.#limit = limit
    this.#lane = lane
  }

  /** Takes the parts of one person, removal first; gives the batches that are now due, in the order to send them. */
  *add(parts: readonly Part[]): Generator<Packed> {
    const pieces = parts.flatMap((part) => this.#byLane(part))
    for (const [, piece] of pieces) {
      this.#unsent.add(piece)
      change(this.#people, piece.customerNo, 1)
      if (piece.operation === 'remove') change(this.#removals, piece.customerNo, 1)
    }
    for (const [lane, piece] of pieces) yield* this.#put(lane, piece)
  }

  /** Everything that is left; nothing is added afterwards. */
  *flush(): Generator<Packed> {
    for (const operation of ['remove', 'add'] as const) {
      for (const [key, session] of this.#sessions) {
        if (!key.startsWith(`${operation} `)) continue
        const rest = [session.finished, session.open.length > 0 ? session.open : undefined].filter((parts) => parts !== undefined)
        session.finished = undefined
        session.open = []
        session.rows = 0
        for (const [i, parts] of rest.entries()) yield this.#emit(key, session, parts, i === rest.length - 1)
      }
    }
  }

  /** Whether something of this person waits for its batch. */
  has(customerNo: number): boolean {
    return this.#people.has(customerNo)
  }

  /** The oldest page with a part that is in no batch yet; undefined: all are. */
  get oldestPage(): number | undefined {
    let oldest: number | undefined
    for (const { page } of this.#unsent) if (oldest === undefined || page < oldest) oldest = page
    return oldest
  }

  /** Held sets of an older choice may fall into several lanes: pieces, each in a batch of its own. The last that goes out is the one that says the person. */
  #byLane(part: Part): [string, Part][] {
    const lanes = new Map<string, KeySet[]>()
    for (const set of part.sets) {
      const lane = this.#lane(set)
      const sets = lanes.get(lane)
      if (sets) sets.push(set)
      else lanes.set(lane, [set])
    }
    return [...lanes].map(([lane, sets]) => [lane, lanes.size === 1 ? part : { ...part, sets, afterRemoval: part.afterRemoval || part.half !== true }])
  }

  *#put(lane: string, part: Part): Generator<Packed> {
    const { operation, refused = 0 } = part
    const key = `${operation} ${refused} ${lane}`
    const limit = limitOf(this.#limit, refused)
    let session = this.#sessions.get(key)
    if (!session) {
      session = { open: [], rows: 0, finished: undefined, seq: 0 }
      this.#sessions.set(key, session)
    }
    const full = session.open.length > 0 && session.rows + part.sets.length > limit ? session.open : undefined
    if (full) {
      session.open = []
      session.rows = 0
    }
    session.open.push(part)
    session.rows += part.sets.length
    if (!full) return
    if (part.operation === 'remove') {
      yield this.#emit(key, session, full, true)
      return
    }
    const finished = session.finished
    session.finished = full
    if (finished) yield* this.#sendAdditions(key, session, finished, false)
  }

  /** Additions, after whatever removal they have to wait for. */
  *#sendAdditions(key: string, session: Session, parts: readonly Part[], last: boolean): Generator<Packed> {
    if (parts.some(({ customerNo, afterRemoval }) => afterRemoval && this.#removals.has(customerNo))) {
      for (const [other, removals] of this.#sessions) {
        if (!other.startsWith('remove ') || removals.open.length === 0) continue
        const open = removals.open
        removals.open = []
        removals.rows = 0
        yield this.#emit(other, removals, open, true)
      }
    }
    yield this.#emit(key, session, parts, last)
  }

  #emit(key: string, session: Session, parts: readonly Part[], last: boolean): Packed {
    const out = parts.map((part) => this.#letGo(part))
    const [operation = '', refused = ''] = key.split(' ')
    const lane = key.slice(operation.length + refused.length + 2)
    if (operation === 'add') session.seq += 1
    return { operation: operation as Operation, lane, series: `${refused} ${lane}`, parts: out, seq: operation === 'add' ? session.seq : 1, last }
  }

  /** It is in a batch now. Of a person with further pieces in no batch yet it counts nothing, and leaves them to do: a worker that dies here has not said them (C3). */
  #letGo(part: Part): Part {
    const { customerNo, operation } = part
    this.#unsent.delete(part)
    change(this.#people, customerNo, -1)
    if (operation === 'remove') change(this.#removals, customerNo, -1)
    const removals = this.#removals.get(customerNo) ?? 0
    const further = operation === 'remove' ? removals : (this.#people.get(customerNo) ?? 0) - removals
    return further > 0 ? { ...part, kind: 'none', half: true, afterRemoval: false } : part
  }
}

function change(counts: Map<number, number>, key: number, by: 1 | -1): void {
  const now = (counts.get(key) ?? 0) + by
  if (now > 0) counts.set(key, now)
  else counts.delete(key)
}
