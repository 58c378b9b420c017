/**
 * A bulk request, whole: lines → checked → batches → transactions of some thousands of changes. While one batch is being
 * stored the next is read; more is never held, so a gibibyte takes no more memory than a megabyte.
 *
 * Bad lines are told and do not stop good ones. `atomic`: the lines are all looked at first, and one bad one refuses them all.
 * What was stored stays if the connection breaks in the middle; sending the same again is harmless.
 */
import type { BulkAnswer, BulkError } from '@audience-sync/contracts/rest/behaviors'
import { AppError } from '@audience-sync/errors/app-error'
import type { Checked } from './check.ts'
import type { Line } from './lines.ts'

const BATCH_LINES = 5_000 // PERFORMANCE.md §6: 5 to 10 thousand a transaction; half a second at most, so the feed's horizon is not held
const MOST_ERRORS = 100 // API.md

export interface Item<T> {
  readonly line: number
  readonly value: T
}

/** What became of a batch. `errors`: lines that were refused when stored, or stored with a remark. */
export interface Stored {
  readonly changed: number
  readonly stale: number
  readonly rejected: number
  readonly errors: readonly BulkError[]
}

export interface Load<T> {
  check(json: unknown): Checked<T>
  store(items: readonly Item<T>[]): Promise<Stored>
}

export async function load<T>(lines: AsyncIterable<Line>, { check, store }: Load<T>): Promise<BulkAnswer> {
  const tally = newTally()
  let batch: Item<T>[] = []
  let storing: Promise<void> = Promise.resolve()
  const flush = async () => {
    const full = batch
    batch = []
    await storing
    if (full.length > 0) storing = store(full).then((stored) => add(tally, stored))
    storing.catch(() => {}) // seen by the next await
  }
  for await (const { line, json } of lines) {
    const checked = look(tally, line, check, json)
    if (checked) batch.push(checked)
    if (batch.length >= BATCH_LINES) await flush()
  }
  await flush()
  await storing
  return answerOf(tally)
}

/** Looks at all lines and stores none. @throws `validation_failed` with the first 100 errors when any is bad. */
export async function checkAll<T>(lines: AsyncIterable<Line>, check: Load<T>['check']): Promise<void> {
  const tally = newTally()
  for await (const { line, json } of lines) look(tally, line, check, json)
  const { received, rejected, errors } = answerOf(tally)
  if (rejected > 0)
    throw new AppError('validation_failed', `${rejected} of ${received} lines are bad, and nothing was stored.`, { extra: { received, rejected, errors } })
}

interface Tally {
  received: number
  changed: number
  stale: number
  rejected: number
  errors: BulkError[]
}

const newTally = (): Tally => ({ received: 0, changed: 0, stale: 0, rejected: 0, errors: [] })

function look<T>(tally: Tally, line: number, check: Load<T>['check'], json: unknown): Item<T> | undefined {
  tally.received += 1
  const checked = json === undefined ? { code: 'line_malformed' as const, detail: 'The line is not JSON in UTF-8, or is longer than 64 KiB.' } : check(json)
  if ('value' in checked) return { line, value: checked.value }
  add(tally, { changed: 0, stale: 0, rejected: 1, errors: [{ line, code: checked.code, detail: checked.detail }] })
  return undefined
}

function add(tally: Tally, { changed, stale, rejected, errors }: Stored): void {
  tally.changed += changed
  tally.stale += stale
  tally.rejected += rejected
  for (const error of errors) if (tally.errors.length < 2 * MOST_ERRORS) tally.errors.push(error) // batches come in behind later lines
}

const answerOf = (tally: Tally): BulkAnswer => ({ ...tally, errors: tally.errors.toSorted((a, b) => a.line - b.line).slice(0, MOST_ERRORS) })
