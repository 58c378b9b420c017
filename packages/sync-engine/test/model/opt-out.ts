/** `worker/opt-out.ts`: removals by one call for all audiences of the account. Who goes, what is said of them and who is spared a call is the real code. */
import { type InAccount, removalEverywhere, sharedBy, whoGoes } from '../../src/pure/everywhere.ts'
import { Packer } from '../../src/pure/packer.ts'
import type { Book, Entry } from './book.ts'
import { accepted, Died, type Next, send } from './calls.ts'
import { LIMIT } from './limits.ts'

interface Row extends InAccount {
  readonly entry: Entry
}

/** Answers whoever has to be removed from this audience alone. */
export function removeFromAccount(book: Book, run: number, customers: readonly number[], force: boolean, next: Next): readonly number[] {
  const { account } = book
  if (customers.length === 0 || !account.everywhere) return customers
  // One at a time.
  account.locked = true
  try {
    const rows = heldInAccount(book, customers)
    const done = shareCalls(book, run, rows, next)
    return call(
      book,
      run,
      customers.filter((no) => !done.has(no)),
      rows,
      force,
      next,
    )
  } finally {
    account.locked = false
  }
}

const heldInAccount = ({ account }: Book, customers: readonly number[]): Row[] =>
  account.audiences.flatMap((book) =>
    customers.flatMap((customerNo) => {
      const entry = book.ledger.get(customerNo)
      if (!entry) return []
      const open = [entry.addBatch, entry.removeBatch].some((no) => book.batch(no)?.state === 'open')
      return [
        { audienceNo: book.index, customerNo, present: entry.removeBatch < entry.addBatch, privacy: book.todo.get(customerNo)?.privacy === true, open, entry },
      ]
    }),
  )

const digestOf = ({ seal }: Entry): Buffer => Buffer.from(String(seal))

function shareCalls(book: Book, run: number, rows: readonly Row[], next: Next): ReadonlySet<number> {
  const { account, index } = book
  const mine = new Map(rows.filter(({ audienceNo, open }) => audienceNo === index && !open).map(({ customerNo, entry }) => [customerNo, digestOf(entry)]))
  const calls = account.taken.filter(
    ({ audience, customerNo, batchNo }) =>
      audience === index && mine.has(customerNo) && ['accepted', 'applied'].includes(account.batches[batchNo - 1]?.state ?? ''),
  )
  const found = sharedBy(
    mine,
    calls.toSorted((a, b) => b.batchNo - a.batchNo),
  )
  for (const [batchNo, customers] of found) {
    const parts = customers.map((no) => removalEverywhere(no, book.held(no), []))
    const batch = book.store({ operation: 'remove', parts }, run, { privacy: true, manner: 'account', shared: batchNo })
    if (next().outcome.startsWith('dies')) throw new Died()
    accepted(book, batch)
  }
  return new Set([...found.values()].flat())
}

function call(book: Book, run: number, customers: readonly number[], rows: readonly Row[], force: boolean, next: Next): readonly number[] {
  const { going, apart, others, along } = whoGoes(book.index, customers, rows, force)
  if (going.length === 0) return apart
  const packer = new Packer(LIMIT, () => '')
  const say = (packed: Parameters<Book['store']>[0]) => {
    const taken = packed.parts.flatMap(({ customerNo }) =>
      along(customerNo).map(({ audienceNo, entry }) => ({ audience: audienceNo, customerNo, heldDigest: digestOf(entry) })),
    )
    const batch = book.store(packed, run, { privacy: true, manner: 'account' })
    book.account.taken.push(...taken.map((one) => ({ ...one, batchNo: batch.no })))
    send(book, batch, next())
  }
  for (const no of going) {
    const elsewhere = others(no).flatMap(({ entry }) => entry.held.map(({ set }) => set))
    const part = removalEverywhere(no, book.held(no), elsewhere)
    if (part.sets.length > 0) for (const packed of packer.add([part])) say(packed)
  }
  for (const packed of packer.flush()) say(packed)
  return apart
}

/** `optedOut`: those whose removal for privacy is repeated for the whole account, too. */
export const optedOut = ({ account, index }: Book, no: number): boolean =>
  account.everywhere &&
  account.proofs.some(({ audience, people }) => audience === index && people.includes(no)) &&
  !account.audiences.some((other) => {
    const entry = other.index === index ? undefined : other.ledger.get(no)
    return entry && entry.removeBatch < entry.addBatch
  })
