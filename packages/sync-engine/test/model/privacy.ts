/** `worker/privacy.ts` and `suppressions.ts`: whoever may not be there goes first, whatever else is wished (R7). */
import { planRemoval } from '../../src/pure/held.ts'
import { Packer, type Part } from '../../src/pure/packer.ts'
import type { Account } from './account.ts'
import type { Book } from './book.ts'
import { type Next, resolveOpen, Stopped, send } from './calls.ts'
import { LIMIT } from './limits.ts'
import { removeFromAccount } from './opt-out.ts'
import { repeatLastWords } from './repeat.ts'

/** Of the suppression log what was not read yet: tombstones, then whoever a ledger holds is left to remove. */
export function readSuppressions(account: Account): void {
  const { audiences, tombstones } = account
  for (; account.readTo < account.suppressed.length; account.readTo += 1) {
    const row = account.suppressed[account.readTo]
    if (!row) continue
    const { no, purposes } = row
    tombstones.set(no, { at: account.readTo + 1, purposes: purposes | (tombstones.get(no)?.purposes ?? 0) })
    for (const book of audiences) {
      if (!book.ledger.has(no) || (purposes & book.purpose) === 0) continue
      book.leave(0, true, [no])
      requestPrivacyRun(book)
    }
  }
}

export function requestPrivacyRun(book: Book): void {
  if (book.privacyRun !== null) return
  book.runNo += 1
  book.privacyRun = book.runNo
}

const isLeft = (book: Book) => [...book.todo.values()].some(({ privacy }) => privacy)

/** `between`: in the middle of another run, which waits if this one has to. */
export function removeForPrivacy(book: Book, next: Next, between = false): void {
  const run = book.privacyRun
  if (run === null || book.account.locked) return
  try {
    remove(book, run, next)
  } catch (error) {
    if (between || !(error instanceof Stopped)) throw error
    return
  }
  book.privacyRun = null
  if (isLeft(book)) requestPrivacyRun(book)
}

function remove(book: Book, run: number, next: Next): void {
  resolveOpen(book, next, run)
  const replacing = book.replacing !== null
  const customers = [...book.todo].flatMap(([no, { privacy }]) => (privacy ? [no] : [])).sort((a, b) => a - b)
  const leaving = customers.filter((no) => !book.allowed(no))
  const apart = new Set(removeFromAccount(book, run, leaving, replacing, next))
  // Who consented again since is left to an ordinary run.
  for (const no of customers) if (!leaving.includes(no)) book.todo.set(no, { run: book.todo.get(no)?.run ?? 0, privacy: false })
  const here = replacing ? [] : leaving.filter((no) => apart.has(no))
  const people = here.map((no) => ({ no, parts: removalOf(book, no) }))
  for (const { no, parts } of people) if (parts.length === 0) book.clear(no, 0, true)
  sayAll(
    book,
    run,
    people.flatMap(({ parts }) => parts),
    next,
  )
  if (!replacing) repeatLastWords(book, run, next, true)
  if ((replacing && apart.size > 0) || [...book.todo.values()].some((left) => left.privacy && left.run === run)) throw new Stopped()
}

function sayAll(book: Book, run: number, parts: readonly Part[], next: Next): void {
  if (parts.length === 0) return
  const packer = new Packer(LIMIT, () => '')
  const say = (packed: Parameters<Book['store']>[0]) => send(book, book.store(packed, run, { privacy: true }), next())
  for (const part of parts) for (const packed of packer.add([part])) say(packed)
  for (const packed of packer.flush()) say(packed)
}

export function removalOf(book: Book, no: number, page = 0, kind: 'removed' | 'withdrawn' = 'withdrawn'): Part[] {
  const { remove, heldAfter } = planRemoval(book.held(no))
  if (remove.length === 0) return []
  return [{ customerNo: no, page, suppressionsAt: '0:0', operation: 'remove', kind, sets: remove, heldAfter, fingerprint: null, afterRemoval: false }]
}
