/**
 * The model of the sync core: one account with several audiences that share people, its ledgers and its far side in memory. The pure parts
 * are the real ones; what is a statement of the store or the order of a worker is done here as it is done there, and says where that is.
 */
import type { Purpose } from '@audience-sync/contracts/people'
import type { CallFor } from '../../src/pure/everywhere.ts'
import { forgetEarlier } from './again.ts'
import { type Batch, Book } from './book.ts'
import { ALL_WELL, type Call, type Meanwhile } from './calls.ts'
import type { Person } from './people.ts'
import { Platform } from './platform.ts'
import { readSuppressions } from './privacy.ts'
import { settle } from './replacing.ts'
import { work } from './work.ts'

export class Account {
  readonly people = new Map<number, Person>()
  readonly log: number[] = []
  readonly suppressed: { readonly no: number; readonly purposes: number }[] = []
  /** How far the suppression log is read. */
  readTo = 0
  readonly tombstones = new Map<number, { readonly at: number; readonly purposes: number }>()
  readonly batches: Batch[] = []
  readonly audiences: readonly Book[]
  readonly platform: Platform
  /** privacy_removal: whom a call took along, and whom an audience removed. */
  readonly taken: (CallFor & { readonly audience: number })[] = []
  readonly proofs: { readonly batch: number; readonly audience: number; readonly people: readonly number[] }[] = []
  /** Days since the beginning: the platform finishes within one what it took. */
  today = 0
  /** The account can be spoken to as a whole. */
  everywhere: boolean
  /** Somebody is at a removal from the whole account. */
  locked = false
  readonly #busy = new Set<Book>()
  seals = 0
  #ticks = 0
  sessions = 0
  replacements = 0
  saidWrongly: number[] = []
  addedWhilePaused = 0

  constructor(purposes: readonly Purpose[] = ['ads'], everywhere = false) {
    this.audiences = purposes.map((purpose, i) => new Book(this, i, purpose))
    this.platform = new Platform(purposes.length)
    this.everywhere = everywhere
  }

  /** Moments, in order. */
  tick(): number {
    this.#ticks += 1
    return this.#ticks
  }

  change(no: number, to: Person): void {
    const lost = (this.people.get(no)?.allowed ?? 0) & ~to.allowed
    this.people.set(no, to)
    this.log.push(no)
    if (lost) this.suppressed.push({ no, purposes: lost })
  }
  /** Of a fetch: where the suppression log stood. */
  get suppressionsAt(): string {
    return `0:${this.suppressed.length}`
  }
  isRead(no: number): boolean {
    return !this.suppressed.slice(this.readTo).some((row) => row.no === no)
  }
  suppressions(): void {
    readSuppressions(this)
  }

  work(index: number, calls: readonly Call[] = [], runs = true): void {
    const book = this.audiences[index % this.audiences.length]
    if (!book || this.#busy.has(book)) return
    this.#busy.add(book)
    const left = [...calls]
    work(book, () => left.shift() ?? ALL_WELL, runs)
    this.#busy.delete(book)
  }

  meanwhile(_: Book, what: Meanwhile): void {
    if ('apply' in what) this.platform.apply(what.apply)
    else if ('work' in what) this.work(what.work)
    else {
      this.change(what.change, what.to)
      if (what.read) this.suppressions()
    }
  }

  /** By the end of the day the platform has applied them all, and given up what was not said to its end. */
  sleep(order: number): void {
    for (const { index } of this.audiences) this.platform.endWindow(index, order % 2 === 1)
    while (this.platform.pending.length > 0) this.platform.apply(order)
    this.today += 1
    for (const book of this.audiences) forgetEarlier(book)
  }

  settle(): void {
    for (const book of this.audiences) settle(book)
  }

  /** Nothing is in the way, until every last word has been said for the last time. */
  calm(order: number): void {
    for (const book of this.audiences) book.paused = false
    for (let day = 0; day < DAYS && !this.isQuiet; day += 1) {
      this.suppressions()
      // Twice: what a first run meets on its way is left to a second.
      for (let i = 0; i < 2; i += 1) for (const book of this.audiences) this.work(book.index)
      this.sleep(order)
      this.settle()
    }
  }

  /** Another day would change nothing. */
  get isQuiet(): boolean {
    return (
      this.readTo === this.suppressed.length &&
      this.platform.pending.length === 0 &&
      this.batches.every(({ state }) => state !== 'open' && state !== 'accepted') &&
      this.audiences.every(({ isQuiet }) => isQuiet)
    )
  }
}

/** Repetitions of repetitions end. */
const DAYS = 6
