/** The statements of `store/replacing.ts`, and of the end of `worker/replacement.ts`, in memory. */
import { forget } from './again.ts'
import type { Book } from './book.ts'

export function isUnfinished(book: Book): boolean {
  const { today } = book.account
  return (
    book.mine.some(
      ({ state, sentOn, repeat, acceptedOn, sendings }) =>
        state === 'open' ||
        state === 'accepted' ||
        (state === 'abandoned' && sentOn === today) ||
        ((repeat || sendings > 1) && Math.max(sentOn, acceptedOn) === today),
    ) || [...book.again.values()].some(({ due }) => due !== Number.POSITIVE_INFINITY)
  )
}

export function giveUpReplacing(book: Book, begun: boolean): void {
  const { replacing } = book
  if (!replacing) return
  const ended = book.mine.filter(({ manner, run, state }) => manner === 'replace' && run === replacing.run && (state === 'open' || state === 'accepted'))
  for (const batch of ended) batch.state = begun ? 'abandoned' : 'dissolved'
  if (begun) book.leave(0, false, [...book.ledger.keys()])
  else
    for (const batch of ended)
      book.neverAdded(
        batch,
        batch.people.map(({ customerNo }) => customerNo),
      )
  book.full = true
  book.failedBefore = true
  book.replacing = begun ? { ...replacing, state: 'failed' } : null
}

/** All of it is accepted: whoever is not in it is removed by it, and whatever earlier runs left to do is done. */
export function endOfList(book: Book): void {
  const { replacing, account } = book
  const removal = replacing && book.batch(replacing.removal)
  if (!removal) return
  for (const [no, entry] of book.ledger)
    if (entry.addBatch < removal.no && entry.removeBatch < removal.no) book.ledger.set(no, { ...entry, removeBatch: removal.no })
  removal.state = 'accepted'
  removal.acceptedOn = account.today
  removal.sentOn = account.today
  for (const [no, { run, privacy }] of book.todo) if (!privacy && run !== replacing.run) book.todo.delete(no)
  book.replacing = { ...replacing, state: 'sent' }
  book.cursor = replacing.start
  book.full = false
  book.failedBefore = false
}

/** settle.ts: what had an effect is applied; a new list that the platform gave up makes everybody unknown. */
export function settle(book: Book): void {
  const { account, index, replacing } = book
  const { platform } = account
  if (replacing?.state === 'sent' && platform.endOf(replacing.session) === 'failed') giveUpReplacing(book, true)
  for (const batch of book.mine) {
    if (batch.state !== 'accepted') continue
    const done = batch.manner === 'replace' ? platform.endOf(batch.listing?.session ?? 0) === 'done' : platform.hadEffect(batch.shared || batch.no, index)
    if (!done) continue
    batch.state = 'applied'
    batch.appliedAt = account.tick()
  }
  forget(book)
  if (book.replacing?.state === 'sent' && !book.mine.some(({ manner, state }) => manner === 'replace' && state === 'accepted')) book.replacing = null
}
