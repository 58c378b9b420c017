/**
 * What was asked and answered, nothing masked: this is the truth that tests compare counts with. An entry is made when a request arrives and
 * completed when it is answered; `status: null` means that it never was. Bodies are kept as bytes and parsed on reading; beyond a budget the oldest
 * are replaced by their digest and row count, so that an export of millions fits. The file, if there is one, gets every completed entry in full.
 */
import { createHash } from 'node:crypto'
import { appendFileSync } from 'node:fs'

export type JournalEntry = {
  seq: number
  /** ISO 8601, the twin's clock. */
  at: string
  method: string
  /** With the query string. */
  path: string
  headers: Record<string, string | string[] | undefined>
  /** Parsed JSON, else the text; `{omitted: true, sha256, rows, bytes}` when the budget is spent. */
  body: unknown
  status: number | null
  response: unknown
  /** The fault kind that was played. */
  fault?: string
}

type Kept = Omit<JournalEntry, 'body'> & { raw: Buffer | undefined; digest: { sha256: string; rows: number | null; bytes: number } }
export type OpenEntry = { finish(status: number | null, response: unknown, fault?: string): void }

export type Journal = {
  /** `rows`: how many members the body names, if it is an upload. */
  open(entry: { at: number; method: string; path: string; headers: JournalEntry['headers']; raw: Buffer | undefined; rows: () => number | null }): OpenEntry
  list(after?: number): JournalEntry[]
  reset(): void
}

/** Pollers alone make a few calls a second: the oldest entries go after some hours of that. */
const MOST_ENTRIES = 50_000

export const createJournal = (bodyBudget: number, file?: string): Journal => {
  let entries: Kept[] = []
  let seq = 0
  let keptBytes = 0
  let oldestWithBody = 0

  const makeRoom = () => {
    for (; keptBytes > bodyBudget && oldestWithBody < entries.length; oldestWithBody++) {
      const entry = entries[oldestWithBody]
      keptBytes -= entry?.raw?.length ?? 0
      if (entry !== undefined) entry.raw = undefined
    }
    if (entries.length > MOST_ENTRIES) {
      entries.shift()
      oldestWithBody = Math.max(0, oldestWithBody - 1)
    }
  }

  return {
    open: ({ at, method, path, headers, raw, rows }) => {
      const bytes = raw?.length ?? 0
      const digest = {
        sha256: createHash('sha256')
          .update(raw ?? '')
          .digest('hex'),
        rows: null as number | null,
        bytes,
      }
      const entry: Kept = { seq: ++seq, at: new Date(at).toISOString(), method, path, headers, raw, status: null, response: null, digest }
      entries.push(entry)
      keptBytes += bytes
      return {
        finish: (status, response, fault) => {
          Object.assign(entry, { status, response }, fault === undefined ? {} : { fault })
          digest.rows = rows()
          if (file !== undefined) appendFileSync(file, `${JSON.stringify(shown({ ...entry, raw }))}\n`)
          makeRoom()
        },
      }
    },
    list: (after = 0) => entries.filter((entry) => entry.seq > after).map(shown),
    reset: () => {
      entries = []
      seq = 0
      keptBytes = 0
      oldestWithBody = 0
    },
  }
}

const shown = ({ raw, digest, ...entry }: Kept): JournalEntry => ({
  ...entry,
  body: raw === undefined && digest.bytes > 0 ? { omitted: true, ...digest } : parsed(raw),
})

const parsed = (raw: Buffer | undefined): unknown => {
  if (raw === undefined || raw.length === 0) return null
  const text = raw.toString('utf8')
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
