/** `worker/repeat.ts`: last words of whom every earlier call is finished. */
import { fingerprintOf } from '../../src/pure/diff.ts'
import { planReplacement } from '../../src/pure/held.ts'
import { type Packed, Packer, type Part } from '../../src/pure/packer.ts'
import { isDue } from './again.ts'
import type { Book } from './book.ts'
import { type Next, send } from './calls.ts'
import { LIMIT } from './limits.ts'
import { optedOut } from './opt-out.ts'
import { KEYS, setsOf } from './people.ts'

/** `removalsOnly`: without a feed. */
export function repeatLastWords(book: Book, run: number, next: Next, removalsOnly: boolean): void {
  const due = [...book.again.keys()].filter((no) => isDue(book, no)).sort((a, b) => a - b)
  if (due.length === 0) return
  const packers = { list: new Packer(LIMIT, () => ''), account: new Packer(LIMIT, () => '') }
  const say = (packed: Packed, manner: keyof typeof packers) => send(book, book.store(packed, run, { repeat: true, manner }), next())
  const seen = new Map(due.map((no) => [no, book.again.get(no)?.after]))
  for (const no of due) {
    const entry = book.ledger.get(no)
    if (!entry || (removalsOnly && entry.removeBatch < entry.addBatch)) continue
    const parts = entry.removeBatch > entry.addBatch ? removal(no, entry.held) : addition(book, no)
    // There is nothing to repeat after all; a row that somebody wrote since it was read stays, and what is remembered of an earlier addition.
    const row = book.again.get(no)
    if (parts.length === 0 && row?.after === seen.get(no) && !row?.both) book.again.delete(no)
    const manner = parts.length === 1 && parts[0]?.operation === 'remove' && optedOut(book, no) ? 'account' : 'list'
    for (const packed of packers[manner].add(parts)) say(packed, manner)
  }
  for (const packed of packers.account.flush()) say(packed, 'account')
  for (const packed of packers.list.flush()) say(packed, 'list')
}

const shared = { page: 0, suppressionsAt: '0:0', kind: 'none', afterRemoval: false } as const

const removal = (customerNo: number, held: Part['heldAfter']): Part[] => [
  { ...shared, customerNo, operation: 'remove', sets: held.map(({ set }) => set), heldAfter: held, fingerprint: null },
]

function addition(book: Book, customerNo: number): Part[] {
  const entry = book.ledger.get(customerNo)
  const person = book.account.people.get(customerNo)
  const [, , , groups, pieces] = book.row(customerNo)
  const fingerprint = fingerprintOf(groups, pieces, book.choice.watched)
  if (!entry || !person || !book.wanted(customerNo) || fingerprint !== entry.fingerprint) return []
  const sets = setsOf(customerNo, person)
  const plan = planReplacement(KEYS, entry.held, sets)
  const adding = { ...shared, customerNo, operation: 'add', sets, fingerprint, suppressionsAt: book.account.suppressionsAt } as const
  if (!book.again.get(customerNo)?.both || plan.remove.length === 0) {
    const leaving = entry.held.filter(({ removing }) => removing)
    return [{ ...adding, heldAfter: [...leaving, ...sets.map((set) => ({ set, removing: false }))] }]
  }
  return [
    { ...shared, customerNo, operation: 'remove', sets: plan.remove, heldAfter: plan.heldAfterRemove, fingerprint: null, half: true },
    { ...adding, heldAfter: plan.heldAfterAdd, afterRemoval: true },
  ]
}
