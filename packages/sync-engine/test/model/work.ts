/** One audience under its lease: `worker/work.ts` and `worker/act.ts`, in their order. */
import { decide, fingerprintOf } from '../../src/pure/diff.ts'
import { planReplacement } from '../../src/pure/held.ts'
import { type Packed, Packer, type Part } from '../../src/pure/packer.ts'
import { isDue } from './again.ts'
import type { Book } from './book.ts'
import { Died, type Next, ReplaceFails, resolveOpen, Stopped, send } from './calls.ts'
import { LIMIT, PAGE } from './limits.ts'
import { KEYS, setsOf, versions } from './people.ts'
import { removalOf, removeForPrivacy, requestPrivacyRun } from './privacy.ts'
import { repeatLastWords } from './repeat.ts'
import { chooseReplacement, openReplacement, replaceWholeList } from './replacement.ts'
import { giveUpReplacing } from './replacing.ts'

/** Whatever is due: removals for privacy; and, if a run was asked for, that. */
export function work(book: Book, next: Next, runs = true): void {
  try {
    // Paused, removals are repeated by runs for privacy.
    const leaves = (no: number) => (book.ledger.get(no)?.removeBatch ?? 0) > (book.ledger.get(no)?.addBatch ?? 0)
    if (book.paused && [...book.again.keys()].some((no) => leaves(no) && isDue(book, no))) requestPrivacyRun(book)
    removeForPrivacy(book, next)
    if (runs) run(book, next)
  } catch (error) {
    if (error instanceof ReplaceFails) giveUpReplacing(book, error.begun || book.replacing?.state !== 'open')
    else if (!(error instanceof Died || error instanceof Stopped)) throw error
  }
}

function run(book: Book, next: Next): void {
  const goesOn = book.replacing?.state === 'open'
  resolveOpen(book, next)
  if (book.paused && !goesOn) return
  if (!goesOn) book.runNo += 1
  if (openReplacement(book) || chooseReplacement(book)) {
    replaceWholeList(book, next)
    return
  }
  act(book, next)
  repeatLastWords(book, book.runNo, next, false)
}

function act(book: Book, next: Next): void {
  const { account, runNo } = book
  const pages = pagesOf(book)
  const from = book.cursor
  const start = account.log.length
  if (pages.length === 0) {
    book.full = false
    book.failedBefore = false
    return
  }
  const packer = new Packer(LIMIT, ([email = ''] = []) => (email.endsWith('0') ? 'x' : ''))
  const said = new Set<number>()
  const say = (packed: Packed, reading: number) => {
    removeForPrivacy(book, next, true)
    const call = next()
    if (call.outcome === 'cancelled') throw new Stopped()
    const cursor = () => {
      const open = Math.min(packer.oldestPage ?? pages.length, reading)
      return open === 0 ? from : (pages[open - 1]?.next ?? from)
    }
    send(book, book.store(packed, runNo, { cursor }), call)
  }
  pages.forEach(({ customers }, index) => {
    for (const no of new Set(customers)) {
      if (packer.has(no) || said.has(no)) continue
      const forced = book.todo.has(no)
      const decision = decide(book.row(no), book.known(no), forced, book.choice, versions)
      const { kind } = decision
      if (kind === 'wait') book.leave(runNo, false, [no])
      if (kind === 'nothing' || kind === 'unchanged' || kind === 'suppressed') book.clear(no, runNo)
      if (kind !== 'add' && kind !== 'replace' && kind !== 'remove') continue
      const parts = kind === 'remove' ? removalOf(book, no, index, decision.privacy ? 'withdrawn' : 'removed') : additionOf(book, no, index)
      if (parts.length === 0) book.clear(no, runNo)
      said.add(no)
      for (const packed of packer.add(parts)) say(packed, index)
    }
  })
  for (const packed of packer.flush()) say(packed, pages.length)
  book.cursor = start
  book.full = false
  book.failedBefore = false
}

/** worker/source.ts: what changed, then what was left to do; or everybody. */
function pagesOf(book: Book): { readonly customers: readonly number[]; readonly next: number }[] {
  const { account, runNo, cursor } = book
  const pages: { readonly customers: readonly number[]; readonly next: number }[] = []
  if (book.full) {
    const everyone = [...account.people.keys()].sort((a, b) => a - b)
    for (let at = 0; at < everyone.length; at += PAGE) pages.push({ customers: everyone.slice(at, at + PAGE), next: cursor })
    return pages
  }
  const changed = account.log.slice(cursor)
  for (let at = 0; at < changed.length; at += PAGE) pages.push({ customers: changed.slice(at, at + PAGE), next: cursor + Math.min(at + PAGE, changed.length) })
  const left = [...book.todo].filter(([, { run: of, privacy }]) => !privacy && (of === 0 || of < runNo)).map(([no]) => no)
  if (left.length > 0) pages.push({ customers: left, next: cursor + changed.length })
  return pages
}

/** worker/people.ts `said`, after the fetch: the second check of consent. */
function additionOf(book: Book, no: number, page: number): Part[] {
  const person = book.account.people.get(no)
  if (!person) return []
  const held = book.held(no)
  const [, , , groups, pieces] = book.row(no)
  const fingerprint = fingerprintOf(groups, pieces, book.choice.watched)
  const sets = setsOf(no, person)
  const { remove, heldAfterRemove, heldAfterAdd } = planReplacement(KEYS, held, sets)
  const shared = { customerNo: no, page, suppressionsAt: book.account.suppressionsAt }
  const half: Part[] =
    remove.length === 0
      ? []
      : [{ ...shared, operation: 'remove', kind: 'none', sets: remove, heldAfter: heldAfterRemove, fingerprint: null, half: true, afterRemoval: false }]
  const kind = held.some(({ removing }) => !removing) ? 'replaced' : 'added'
  return [...half, { ...shared, operation: 'add', kind, sets, heldAfter: heldAfterAdd, fingerprint, afterRemoval: remove.length > 0 }]
}
