/** The lines of a bulk body: NDJSON in pieces as they arrive, or one JSON document of bounded size. Line numbers begin at 1. */
import { isUtf8 } from 'node:buffer'
import { AppError } from '@audience-sync/errors/app-error'

export interface Line {
  readonly line: number
  /** Parsed; undefined: not JSON. */
  readonly json: unknown
}

export const NDJSON_LIMIT = 1024 ** 3 // API.md: 1 GiB
const JSON_LIMIT = 10 * 1024 ** 2 // API.md: 10 MiB
const LONGEST_LINE = 64 * 1024 // the largest customer the schema takes is some 12 KiB
const NEWLINE = 10

const tooLarge = (limit: number) => new AppError('payload_too_large', `This route takes ${limit} bytes at most in this format.`)

/** Blank lines count for the numbers and are passed over. Holds one line at most. */
export async function* ndjsonLines(body: AsyncIterable<Buffer>, limit = NDJSON_LIMIT): AsyncGenerator<Line> {
  let held: Buffer[] = []
  let heldBytes = 0
  let line = 0
  let received = 0
  const take = (last: Buffer): Line | undefined => {
    line += 1
    const bytes = heldBytes > 0 ? Buffer.concat([...held, last]) : last
    const tooLong = heldBytes + last.length > LONGEST_LINE
    held = []
    heldBytes = 0
    if (tooLong) return { line, json: undefined }
    return bytes.length === 0 || isBlank(bytes) ? undefined : { line, json: parsed(bytes) }
  }
  for await (const chunk of body) {
    received += chunk.length
    if (received > limit) throw tooLarge(limit)
    let from = 0
    for (let to = chunk.indexOf(NEWLINE); to >= 0; to = chunk.indexOf(NEWLINE, from)) {
      const found = take(chunk.subarray(from, to))
      if (found) yield found
      from = to + 1
    }
    const rest = chunk.subarray(from)
    if (heldBytes <= LONGEST_LINE) held.push(rest) // of a line that is too long no more is kept than that
    heldBytes += rest.length
  }
  if (heldBytes > 0) {
    const found = take(Buffer.alloc(0))
    if (found) yield found
  }
}

/** The items of `{ <field>: [...] }`. @throws `validation_failed` when it is another document. */
export async function* jsonLines(body: AsyncIterable<Buffer>, field: string, limit = JSON_LIMIT): AsyncGenerator<Line> {
  const chunks: Buffer[] = []
  let received = 0
  for await (const chunk of body) {
    received += chunk.length
    if (received > limit) throw tooLarge(limit)
    chunks.push(chunk)
  }
  const document = parsed(Buffer.concat(chunks))
  const items =
    document !== null && typeof document === 'object' && Object.keys(document).join() === field ? (document as Record<string, unknown>)[field] : undefined
  if (!Array.isArray(items)) {
    const message = `must be {"${field}": [...]}`
    throw new AppError('validation_failed', `The body ${message}.`, { extra: { errors: [{ in: 'body', path: '', message }] } })
  }
  for (const [index, json] of items.entries()) yield { line: index + 1, json }
}

const isBlank = (bytes: Buffer): boolean => bytes.every((byte) => byte === 32 || byte === 9 || byte === 13)

function parsed(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) return undefined
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}
