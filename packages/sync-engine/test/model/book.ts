/**
 * What the tables say of one audience, and the statements of `src/store` that write them, in memory: the ledger, what is left to do, who is
 * tagged with which identifier, whose last word is said again (`again.ts`). Each is as its SQL is; what decides is the real code.
 */
import type { FeedRow } from '@audience-sync/contracts/internal/feed'
import { type Purpose, purposeBit } from '@audience-sync/contracts/people'
import type { Operation } from '@audience-sync/destination-kit/contract'
import type { choiceOf, Known } from '../../src/pure/diff.ts'
import { type HeldSet, settleHeld } from '../../src/pure/held.ts'
import type { Packed, Part } from '../../src/pure/packer.ts'
import { leftBehind } from '../../src/pure/replacing.ts'
import type { Account } from './account.ts'
import { type Again, rememberEarlier } from './again.ts'
import { choiceFor, feedRow, versions } from './people.ts'

export interface Entry {
  readonly fingerprint: number
  readonly addBatch: number
  /** 0: none. */
  readonly removeBatch: number
  readonly held: readonly HeldSet[]
  /** Another one with every writing: a sealed value is never the same twice. */
  readonly seal: number
}

export interface Batch {
  readonly no: number
  readonly audience: number
  readonly run: number
  readonly privacy: boolean
  readonly operation: Operation
  people: readonly Part[]
  readonly manner: 'list' | 'account' | 'replace'
  readonly listing: { readonly session: number; readonly seq: number; readonly last: boolean } | null
  /** Another audience's call that did this, too. */
  readonly shared: number
  readonly suppressionsAt: number
  state: 'open' | 'accepted' | 'applied' | 'rejected' | 'abandoned' | 'dissolved'
  /** Times that it left us, as far as we know. */
  sendings: number
  /** Nothing says so far that no sending of it was taken. */
  unknown: boolean
  /** Said before, and said again (C4): nothing waits for its effect. */
  readonly repeat: boolean
  /** For the first time, and the day of its answer; -1: never. */
  sentOn: number
  acceptedOn: number
  /** Moments, in order. */
  sentAt: number
  appliedAt: number
}

export interface Replacing {
  readonly run: number
  readonly state: 'open' | 'sent' | 'failed'
  readonly removal: number
  readonly session: number
  readonly start: number
  /** Day of the first call; null: none was made. */
  readonly begunOn: number | null
}

export type Storing = Partial<Pick<Batch, 'repeat' | 'manner' | 'shared' | 'privacy' | 'listing'>>

export class Book {
  readonly account: Account
  readonly index: number
  readonly purpose: number
  readonly choice: ReturnType<typeof choiceOf>
  /** Batches of this audience, in order. */
  readonly mine: Batch[] = []
  readonly ledger = new Map<number, Entry>()
  /** `run`: of the run that left them, 0 where any may do them. */
  readonly todo = new Map<number, { readonly run: number; readonly privacy: boolean }>()
  readonly tags = new Map<string, Set<number>>()
  readonly again = new Map<number, Again>()
  cursor = 0
  runNo = 0
  /** The open privacy run. */
  privacyRun: number | null = null
  paused = false
  /** The next run looks at everyone. */
  full = false
  replacing: Replacing | null = null
  failedBefore = false

  constructor(account: Account, index: number, purpose: Purpose) {
    this.account = account
    this.index = index
    this.purpose = purposeBit(purpose)
    this.choice = choiceFor(purpose)
  }

  row(no: number): FeedRow {
    return feedRow(no, this.account.people.get(no), this.index)
  }
  allowed(no: number): boolean {
    return ((this.account.people.get(no)?.allowed ?? 0) & this.purpose) !== 0
  }
  wanted(no: number): boolean {
    return this.row(no)[1] === 1 && this.allowed(no)
  }
  batch(no: number): Batch | undefined {
    return this.account.batches[no - 1]
  }
  tag(no: number, sets: Part['sets']): void {
    for (const value of sets.flat()) if (value !== '') this.tags.set(value, (this.tags.get(value) ?? new Set()).add(no))
  }

  /** Nothing is left to read, to do or to say again, and nobody to forget. */
  get isQuiet(): boolean {
    return (
      this.cursor === this.account.log.length &&
      !this.full &&
      this.todo.size + this.again.size === 0 &&
      this.replacing === null &&
      this.privacyRun === null &&
      [...this.ledger.values()].every(({ addBatch, removeBatch }) => addBatch > removeBatch)
    )
  }

  known(no: number): Known | undefined {
    const entry = this.ledger.get(no)
    if (!entry) return undefined
    const of = (batchNo: number): Known['state'] => {
      const batch = this.batch(batchNo)
      // The removal of a new list is open as long as that is: nobody waits for it.
      if (batch?.state === 'open') return batch.no === this.replacing?.removal ? 'done' : 'open'
      return batch?.state === 'accepted' || batch?.state === 'applied' ? 'done' : 'failed'
    }
    const states = [entry.addBatch, entry.removeBatch].filter((batch) => batch > 0).map(of)
    const last = entry.removeBatch > entry.addBatch ? 'remove' : 'add'
    return { ...versions, fingerprint: entry.fingerprint, last, state: states.includes('open') ? 'open' : of(Math.max(entry.addBatch, entry.removeBatch)) }
  }

  /** worker/people.ts `heldOfPeople`. */
  held(no: number): HeldSet[] {
    const entry = this.ledger.get(no)
    if (!entry) return []
    const batch = this.batch(entry.removeBatch)
    const failed = !batch || ['rejected', 'abandoned', 'dissolved'].includes(batch.state)
    const state = failed ? 'not_done' : batch.state === 'applied' && !batch.repeat ? 'applied' : 'open'
    return settleHeld(entry.held, this.todo.has(no) ? 'not_done' : state === 'applied' && this.again.has(no) ? 'open' : state)
  }

  write(no: number, entry: Omit<Entry, 'seal'>): void {
    this.account.seals += 1
    this.ledger.set(no, { ...entry, seal: this.account.seals })
  }

  /** store/ledger.ts: a removal for privacy stays one. */
  leave(run: number, privacy: boolean, customers: readonly number[]): void {
    for (const no of customers) this.todo.set(no, { run, privacy: privacy || this.todo.get(no)?.privacy === true })
  }
  clear(no: number, exceptOfRun: number, withPrivacy = false): void {
    const left = this.todo.get(no)
    if (left && (left.run !== exceptOfRun || left.run === 0) && (!left.privacy || withPrivacy)) this.todo.delete(no)
  }
  neverAdded({ no, people }: Batch, customers = people.filter(({ kind }) => kind === 'added').map(({ customerNo }) => customerNo)): void {
    for (const customer of customers) {
      const entry = this.ledger.get(customer)
      if (entry?.addBatch === no && entry.removeBatch === 0) this.ledger.delete(customer)
    }
  }

  insert(operation: Operation, people: readonly Part[], run: number, storing: Storing = {}): Batch {
    const { repeat = false, manner = 'list', shared = 0, privacy = false, listing = null } = storing
    const suppressionsAt = Math.min(...people.map((part) => Number(part.suppressionsAt.split(':')[1])))
    const no = this.account.batches.length + 1
    const life = { state: 'open', sendings: 0, unknown: false, sentOn: -1, acceptedOn: -1, sentAt: this.batch(shared)?.sentAt ?? 0, appliedAt: 0 } as const
    const batch: Batch = { no, audience: this.index, run, privacy, operation, people, manner, listing, shared, suppressionsAt, repeat, ...life }
    this.account.batches.push(batch)
    this.mine.push(batch)
    return batch
  }

  /** worker/batches.ts `storeBatch`: one transaction. */
  store({ operation, parts }: Pick<Packed, 'operation' | 'parts'>, run: number, storing: Storing & { readonly cursor?: () => number } = {}): Batch {
    const batch = this.insert(operation, parts, run, storing)
    const everyone = parts.map(({ customerNo }) => customerNo)
    if (operation === 'remove' && storing.privacy) this.account.proofs.push({ batch: batch.no, audience: this.index, people: everyone })
    if (operation === 'add') rememberEarlier(this, batch.repeat, everyone)
    for (const { customerNo, heldAfter, fingerprint, sets } of parts) {
      const entry = this.ledger.get(customerNo)
      if (operation === 'add') {
        this.write(customerNo, { fingerprint: fingerprint ?? 0, addBatch: batch.no, removeBatch: entry?.removeBatch ?? 0, held: heldAfter })
        this.tag(customerNo, sets)
      } else if (entry) this.write(customerNo, { ...entry, removeBatch: batch.no, held: heldAfter })
      const again = this.again.get(customerNo)
      if (batch.repeat && again) this.again.set(customerNo, { ...again, after: batch.no })
    }
    for (const { customerNo, kind, afterRemoval } of parts)
      if (kind !== 'none' || afterRemoval) this.clear(customerNo, storing.privacy ? 0 : run, storing.privacy)
    this.leave(
      0,
      false,
      parts.filter(({ half, customerNo }) => half && this.todo.get(customerNo)?.run !== run).map(({ customerNo }) => customerNo),
    )
    // The old list's removal is what takes away whatever was held before.
    if (batch.manner === 'replace')
      for (const no of leftBehind(parts)) {
        const entry = this.ledger.get(no)
        if (entry) this.ledger.set(no, { ...entry, removeBatch: Math.max(entry.removeBatch, this.replacing?.removal ?? 0) })
      }
    if (storing.cursor) this.cursor = storing.cursor()
    return batch
  }

  /** Ends other than accepted: its people are left to do (C3). */
  end(batch: Batch, state: 'rejected' | 'abandoned' | 'dissolved'): void {
    batch.state = state
    if (state === 'abandoned') batch.sentOn = this.account.today
    this.leave(
      state === 'dissolved' ? 0 : batch.run,
      batch.privacy,
      batch.people.map(({ customerNo }) => customerNo),
    )
    if (state === 'dissolved') this.neverAdded(batch)
  }
}
