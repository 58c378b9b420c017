/** The statements of `src/store/say-again.ts` and `src/store/tags.ts`, in memory: each as its SQL is. */
import type { Batch, Book, Entry } from './book.ts'

/** Whose last word is to be said again: how often, from which day on, and when this batch is done. Never due: of whom an earlier addition may still land. */
export interface Again {
  readonly times: number
  readonly due: number
  readonly after: number
  readonly both: boolean
}

const NEVER = Number.POSITIVE_INFINITY
const open = (batch: Batch | undefined) => batch?.state === 'open' || batch?.state === 'accepted'

/** TWICE: of the last day. */
export const mayLandTwice = ({ account }: Book, { sendings, state, sentOn, acceptedOn }: Batch): boolean =>
  (sendings > 1 || state === 'abandoned') && Math.max(sentOn, acceptedOn) === account.today

/** UNSEEN: a repetition of the last day, which nobody watches. */
const isUnseen = ({ account }: Book, { repeat, sentOn }: Batch) => repeat && sentOn === account.today

function upsert(book: Book, no: number, fresh: Again, merge: (before: Again) => Partial<Again>): void {
  const before = book.again.get(no)
  book.again.set(no, before ? { ...before, times: Math.max(before.times, fresh.times), after: Math.max(before.after, fresh.after), ...merge(before) } : fresh)
}
/** What was remembered of an earlier addition goes along. */
const dueAtLast = (book: Book) => (before: Again) => ({
  due: before.due === NEVER ? book.account.today : before.due,
  both: before.both || before.due === NEVER,
})

export function rememberEarlier(book: Book, repeat: boolean, customers: readonly number[]): void {
  for (const no of customers) {
    const earlier = book.batch(book.ledger.get(no)?.addBatch ?? 0)
    if (!earlier) continue
    const doubtful = mayLandTwice(book, earlier) || (isUnseen(book, earlier) && !repeat)
    if (earlier.state === 'accepted' || doubtful)
      upsert(book, no, { times: doubtful ? 2 : 1, due: NEVER, after: earlier.no, both: false }, (row) => ({ both: row.both || row.due !== NEVER }))
  }
}

export function leaveToSayAgain(book: Book, operation: Batch['operation'], customers: readonly number[]): void {
  const { today } = book.account
  for (const no of customers) {
    const entry = book.ledger.get(no)
    const before = operation === 'remove' && book.again.get(no)?.due === NEVER ? book.again.get(no) : undefined
    const other = entry && book.batch(operation === 'remove' ? entry.addBatch : entry.removeBatch)
    if (!other) continue
    const sentAt = book.batch(entry.removeBatch)?.sentAt ?? 0
    // Of removals the ledger knows the last only: an earlier one may have named them, too.
    const hidden = operation === 'add' ? book.mine.filter((one) => one.operation === 'remove' && one.no < other.no) : []
    const earlier = hidden.some(({ state }) => state === 'accepted')
    const unfinished = other.state === 'accepted' || earlier || (operation === 'remove' && other.appliedAt > sentAt) || before !== undefined
    const doubtful = [other, ...hidden].some((one) => mayLandTwice(book, one)) || isUnseen(book, other) || (before?.times ?? 0) > 1
    if (!unfinished && !doubtful) continue
    const both = operation === 'remove'
    upsert(book, no, { times: doubtful ? 2 : 1, due: today, after: other.no, both }, (row) => ({ due: today, both: row.both || both }))
  }
}

const stays = ({ addBatch, removeBatch }: Entry) => removeBatch < addBatch

interface Removed {
  readonly goneEverywhere?: readonly number[]
  readonly doubtful?: true
}

/** `goneEverywhere`: by another audience's call for the whole account, which removed these people. `doubtful`: it may have been taken, once. */
export function leaveSharersToSayAgain(book: Book, batchNo: number, values: readonly string[], { goneEverywhere, doubtful }: Removed = {}): void {
  const { today } = book.account
  for (const no of new Set(values.flatMap((value) => [...(book.tags.get(value) ?? [])]))) {
    const entry = book.ledger.get(no)
    if (!entry || !stays(entry) || (goneEverywhere?.includes(no) && book.todo.get(no)?.privacy)) continue
    upsert(book, no, { times: goneEverywhere || doubtful ? 2 : 1, due: today, after: batchNo, both: false }, (row) => ({
      ...dueAtLast(book)(row),
      ...(goneEverywhere && { after: batchNo }),
    }))
  }
}

/** MAY_COME */
const mayCome = ({ account }: Book, { state, repeat, sendings, acceptedOn }: Batch) =>
  state === 'accepted' || (state === 'applied' && (repeat || sendings > 1) && acceptedOn === account.today)

export function leaveAddedToSayAgain(book: Book, { people }: Batch): void {
  const { account } = book
  const late = book.mine.filter((batch) => batch.operation === 'remove' && mayCome(book, batch))
  const wide = account.batches
    .filter(({ manner, shared, audience }) => manner === 'account' && shared === 0 && audience !== book.index)
    .filter(({ state, acceptedOn }) => state === 'accepted' || (state === 'applied' && acceptedOn === account.today))
  if (late.length + wide.length === 0) return
  for (const { customerNo, sets } of people)
    for (const holder of new Set(sets.flat().flatMap((value) => (value === '' ? [] : [...(book.tags.get(value) ?? [])])))) {
      const removal = book.ledger.get(holder)?.removeBatch ?? 0
      const one = holder === customerNo ? undefined : late.findLast(({ no }) => no <= removal)
      if (one)
        upsert(book, customerNo, { times: one.state === 'accepted' ? 1 : 2, due: account.today, after: one.no, both: false }, (row) => ({
          ...dueAtLast(book)(row),
          // What is said in a day comes after it.
          ...(row.due !== NEVER && row.due > account.today && { times: row.times }),
        }))
      const call = wide.findLast(({ people: gone }) => gone.some((person) => person.customerNo === holder))
      if (call) upsert(book, customerNo, { times: 2, due: account.today, after: call.no, both: false }, (row) => ({ ...dueAtLast(book)(row), after: call.no }))
    }
}

/** It was said again by this batch, if nothing was left since. */
export function saidAgain(book: Book, { no, people }: Batch): void {
  for (const { customerNo } of people) {
    const row = book.again.get(customerNo)
    if (!row || row.after !== no || book.todo.has(customerNo)) continue
    if (row.times <= 1) book.again.delete(customerNo)
    else book.again.set(customerNo, { ...row, times: row.times - 1, due: book.account.today + 1 })
  }
}

/** READ_AGAIN: due, and every earlier call is finished. */
export function isDue(book: Book, no: number): boolean {
  const row = book.again.get(no)
  const entry = book.ledger.get(no)
  if (!row || !entry || row.due > book.account.today || book.todo.has(no)) return false
  const firstOpen = book.mine.find(open)?.no ?? NEVER
  return firstOpen > Math.max(entry.addBatch, entry.removeBatch, row.after) && !open(book.batch(row.after))
}

/** store/ledger.ts and housekeeping: whoever is gone is forgotten, unless something may still come. */
export function forget(book: Book): void {
  const { today } = book.account
  for (const [no, entry] of book.ledger) {
    const batch = book.batch(entry.removeBatch)
    if (stays(entry) || batch?.state !== 'applied' || book.todo.has(no) || book.again.has(no)) continue
    // Nobody saw the effect of a repetition, or of the other sending: it is remembered for as long as it may still come.
    if ((batch.repeat || batch.sendings > 1) && batch.acceptedOn === today) continue
    // Nor while an earlier removal, which may have named them, too, may come.
    if (book.mine.some((one) => one.operation === 'remove' && one.no < batch.no && (one.state === 'accepted' || mayLandTwice(book, one)))) continue
    book.ledger.delete(no)
  }
}

/** FORGET_EARLIER, FORGET_LATER: a day later. */
export function forgetEarlier(book: Book): void {
  for (const [no, { due, after }] of book.again) {
    const batch = book.batch(after)
    const late = book.mine.some((one) => one.no <= after && one.state === 'accepted')
    if (due === NEVER && !late && batch && Math.max(batch.sentOn, batch.acceptedOn) < book.account.today) book.again.delete(no)
  }
  forget(book)
}
