/** `worker/replacement.ts` and `choose-replacement.ts`: the whole list anew. When, and what is said of one person, is the real code. */
import { type Decision, decide, fingerprintOf } from '../../src/pure/diff.ts'
import { Packer, type Part } from '../../src/pure/packer.ts'
import { listed, whyNotReplace } from '../../src/pure/replacing.ts'
import type { Book } from './book.ts'
import { checkWindow, type Next, ReplaceFails, Stopped, send } from './calls.ts'
import { LIMIT } from './limits.ts'
import { setsOf, versions } from './people.ts'
import { removeForPrivacy } from './privacy.ts'
import { endOfList, isUnfinished } from './replacing.ts'

/** The replacement that this run goes on with; waits while the platform is at one. */
export function openReplacement(book: Book): boolean {
  const { replacing, account, index } = book
  if (!replacing) return false
  if (replacing.state === 'open') return true
  if (replacing.state === 'sent' || account.platform.look(index, null) !== 'ready') throw new Stopped()
  book.replacing = null
  return false
}

export function chooseReplacement(book: Book): boolean {
  const { account, index } = book
  const decisions = [...account.people.keys()].map((no) => decide(book.row(no), book.known(no), book.todo.has(no), book.choice, versions).kind)
  const count = (...kinds: Decision['kind'][]) => decisions.filter((kind) => kinds.includes(kind)).length
  const why = whyNotReplace({
    wish: 'always',
    refusal: account.everywhere ? null : 'Opt-outs cannot be removed from the whole account.',
    full: book.full,
    plan: false,
    tooSmall: false,
    adopted: false,
    unfinished: isUnfinished(book),
    failedBefore: book.failedBefore,
    removalsRefused: false,
    people: count('add', 'replace', 'unchanged'),
    present: count('replace', 'unchanged', 'remove'),
    changes: count('add', 'replace', 'remove'),
    peopleAtMost: 1_000,
    worthFrom: { people: 0, share: 0 },
    quotaMs: 0,
    windowMs: 1,
  })
  if (why !== null || account.platform.look(index, null) !== 'ready') return false
  const start = account.log.length
  account.sessions += 1
  const session = account.sessions
  const listing = { session, seq: 0, last: false }
  const removal = book.insert('remove', [], book.runNo, { manner: 'replace', listing }).no
  book.replacing = { run: book.runNo, state: 'open', removal, session, start, begunOn: null }
  account.replacements += 1
  return true
}

export function replaceWholeList(book: Book, next: Next): void {
  const { replacing, account } = book
  if (!replacing) return
  const said = book.mine.filter(
    ({ manner, operation, run, state }) =>
      manner === 'replace' && operation === 'add' && run === replacing.run && (state === 'accepted' || state === 'applied'),
  )
  let seq = Math.max(0, ...said.map(({ listing }) => listing?.seq ?? 0))
  const numbers = new Set(said.map(({ no }) => no))
  const after = Math.max(0, ...[...book.ledger].filter(([, { addBatch }]) => numbers.has(addBatch)).map(([no]) => no))
  const say = (parts: readonly Part[], last: boolean) => {
    removeForPrivacy(book, next)
    const call = next()
    if (call.outcome === 'too late' && book.replacing?.begunOn != null) {
      account.platform.endWindow(book.index, false)
      throw new ReplaceFails(true)
    }
    checkWindow(book)
    const batch = book.store({ operation: 'add', parts }, replacing.run, { manner: 'replace', listing: { session: replacing.session, seq: seq + 1, last } })
    send(book, batch, call)
    if (batch.state === 'accepted') seq += 1
  }
  if (!said.some(({ listing }) => listing?.last)) {
    const packer = new Packer(LIMIT, () => '')
    for (const no of [...account.people.keys()].sort((a, b) => a - b))
      if (no > after) for (const part of partOf(book, no)) for (const packed of packer.add([part])) say(packed.parts, packed.last)
    for (const packed of packer.flush()) say(packed.parts, packed.last)
    if (seq === 0) throw new ReplaceFails(book.replacing?.begunOn !== null)
  }
  endOfList(book)
}

function partOf(book: Book, no: number): Part[] {
  const decision = decide(book.row(no), book.known(no), book.todo.has(no), book.choice, versions)
  if (decision.kind === 'wait') book.leave(book.replacing?.run ?? 0, false, [no])
  const person = book.account.people.get(no)
  if (!person || (decision.kind !== 'add' && decision.kind !== 'replace' && decision.kind !== 'unchanged')) return []
  const before = book.held(no)
  const [, , , groups, pieces] = book.row(no)
  const kind = decision.kind === 'unchanged' ? 'none' : before.some(({ removing }) => !removing) ? 'replaced' : 'added'
  const fingerprint = fingerprintOf(groups, pieces, book.choice.watched)
  return [listed({ customerNo: no, kind, before, sets: setsOf(no, person), fingerprint, suppressionsAt: book.account.suppressionsAt })]
}
