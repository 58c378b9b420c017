/** One call, as `worker/send.ts`, `worker/resolve.ts` and `worker/replacement-call.ts` make it: what is read before, and what its answer, or the lack of one, leaves. */
import { leaveAddedToSayAgain, leaveSharersToSayAgain, leaveToSayAgain, saidAgain } from './again.ts'
import type { Batch, Book } from './book.ts'
import type { Person } from './people.ts'

/**
 * at the door: refused before it was looked at, as by a used up quota; surely not taken, this time. unsent: its worker died, or the network,
 * when it was on record and had not left. too late, gives up: of a new list, its time is over; the platform gives it up at its end.
 */
export type Outcome = 'accepted' | 'refused' | 'at the door' | 'lost' | 'unsent' | 'dies before' | 'dies after' | 'cancelled' | 'too late' | 'gives up'
/** What happens between a batch's commit and its tombstones, or between its sending and its record. */
export type Meanwhile = { readonly change: number; readonly to: Person; readonly read: boolean } | { readonly work: number } | { readonly apply: number }
export interface Call {
  readonly outcome: Outcome
  readonly meanwhile?: Meanwhile
  readonly afterwards?: boolean
}
export type Next = () => Call
export const ALL_WELL: Call = { outcome: 'accepted' }

/** Its worker is gone. */
export class Died extends Error {}
/** The run ends, or waits: later. */
export class Stopped extends Error {}
/** worker/endings.ts */
export class ReplaceFails extends Error {
  readonly begun: boolean
  constructor(begun: boolean) {
    super('replacement fails')
    this.begun = begun
  }
}

export function send(book: Book, batch: Batch, { outcome, meanwhile, afterwards = false }: Call): void {
  const { account } = book
  if (outcome === 'dies before') throw new Died()
  if (outcome === 'at the door') throw new Stopped()
  if (batch.manner === 'replace' && arrivedBefore(book, batch)) {
    accepted(book, batch)
    return
  }
  if (meanwhile && !afterwards) account.meanwhile(book, meanwhile)
  if (!withoutSuppressed(book, batch)) return
  batch.sendings += 1
  if (batch.sentOn < 0) {
    batch.sentOn = account.today
    batch.sentAt = account.tick()
  }
  if (outcome === 'unsent') throw new Died()
  const answer = outcome === 'refused' ? 'refused' : push(book, batch, outcome === 'gives up')
  if (meanwhile && afterwards) account.meanwhile(book, meanwhile)
  if (outcome === 'lost' || outcome === 'dies after') throw new Died()
  if (answer === 'refused') refused(book, batch)
  else accepted(book, batch)
}

/** worker/replacement-call.ts `beforeReplacing`: the first call is never resent blindly. */
function arrivedBefore(book: Book, { listing, sendings }: Batch): boolean {
  const { replacing, account } = book
  if (replacing?.state !== 'open' || listing === null) throw new Error('A part of a new list that is not under way.')
  checkWindow(book)
  if (listing.seq !== 1) return false
  if (sendings > 0) {
    const look = account.platform.look(book.index, listing.session)
    if (look === 'begun') return true
    if (look !== 'ready') throw new ReplaceFails(true)
  }
  book.replacing = { ...replacing, begunOn: account.today }
  return false
}

export function checkWindow({ replacing, account }: Book): void {
  if (replacing && replacing.begunOn !== null && replacing.begunOn < account.today) throw new ReplaceFails(true)
}

/** The tombstones, before every try (C10, C11). */
function withoutSuppressed(book: Book, batch: Batch): boolean {
  const gone = new Set(batch.people.map(({ customerNo }) => customerNo).filter((no) => batch.operation === 'add' && isVoid(book, batch, no)))
  if (gone.size === 0) return true
  if (!batch.unknown) {
    const dropped = [...gone]
    book.leave(batch.run, false, dropped)
    book.neverAdded(
      batch,
      batch.people.filter(({ customerNo, kind }) => kind === 'added' && gone.has(customerNo)).map(({ customerNo }) => customerNo),
    )
    batch.people = batch.people.filter(({ customerNo }) => !gone.has(customerNo))
    if (batch.people.length > 0) return true
    batch.state = 'dissolved'
    return false
  }
  if (batch.manner === 'replace') throw new ReplaceFails(true)
  book.end(batch, 'abandoned')
  return false
}

function isVoid({ account, purpose }: Book, { suppressionsAt }: Batch, no: number): boolean {
  const tombstone = account.tombstones.get(no)
  return tombstone !== undefined && tombstone.at > suppressionsAt && (tombstone.purposes & purpose) !== 0
}

function push(book: Book, batch: Batch, doomed: boolean): 'taken' | 'refused' {
  const { account, index } = book
  const { platform } = account
  const rows = batch.people.flatMap(({ sets }) => sets)
  if (batch.operation === 'add') {
    // What may have been sent before the pause is sent again, and a new list is said to its end (C15).
    if (book.paused && batch.sendings === 1 && batch.manner === 'list') account.addedWhilePaused += 1
    for (const { customerNo } of batch.people)
      if (!book.allowed(customerNo) && account.tombstones.has(customerNo) && account.isRead(customerNo)) account.saidWrongly.push(customerNo)
  }
  if (batch.manner === 'account') platform.removeEverywhere(batch.no, rows)
  else if (batch.listing) {
    const answer = platform.list(index, batch.no, { ...batch.listing, doomed }, rows)
    return answer === 'taken' || (answer === 'finished' && batch.listing.last && batch.unknown) ? 'taken' : 'refused'
  } else platform.say(index, batch.no, batch.operation, rows)
  return 'taken'
}

function refused(book: Book, batch: Batch): void {
  if (batch.manner === 'replace') throw new ReplaceFails(batch.listing?.seq !== 1 || batch.unknown)
  // An earlier sending of a removal may have been taken.
  if (batch.unknown && batch.operation === 'remove') {
    leaveSharersToSayAgain(book, batch.no, valuesOf(batch), { doubtful: true })
    if (batch.manner === 'account') leaveSharersElsewhere(book, batch)
  }
  book.end(batch, 'rejected')
}

const valuesOf = ({ people }: Batch) => people.flatMap(({ sets }) => sets.flat()).filter(Boolean)

/** worker/send.ts `recordAccepted`. */
export function accepted(book: Book, batch: Batch): void {
  const { account } = book
  batch.state = batch.repeat ? 'applied' : 'accepted'
  batch.acceptedOn = account.today
  const customers = batch.people.map(({ customerNo }) => customerNo)
  if (batch.repeat) saidAgain(book, batch)
  else leaveToSayAgain(book, batch.operation, customers)
  if (batch.operation === 'remove') leaveSharersToSayAgain(book, batch.no, valuesOf(batch))
  if (batch.operation === 'add') leaveAddedToSayAgain(book, batch)
  if (batch.manner !== 'account' || batch.shared > 0) return
  // What other audiences held went along.
  for (const { customerNo, sets } of batch.people) book.tag(customerNo, sets)
  leaveSharersElsewhere(book, batch)
}

/** worker/opt-out.ts */
function leaveSharersElsewhere({ account, index }: Book, batch: Batch): void {
  const goneEverywhere = batch.people.map(({ customerNo }) => customerNo)
  for (const other of account.audiences) {
    if (other.index === index) continue
    leaveSharersToSayAgain(other, batch.no, valuesOf(batch), { goneEverywhere })
    for (const { customerNo, sets } of batch.people) other.tag(customerNo, sets)
  }
}

/** What an earlier worker left: sent again where it may have been sent, else its people are left to do. */
export function resolveOpen(book: Book, next: Next, run?: number): void {
  for (const batch of book.mine) {
    if (batch.state !== 'open' || batch.no === book.replacing?.removal || (run !== undefined && batch.run !== run)) continue
    if (batch.sendings === 0) {
      book.end(batch, 'dissolved')
      continue
    }
    batch.unknown = true
    send(book, batch, next())
  }
}
