import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { createJournal } from './journal.ts'

const enter = (journal: ReturnType<typeof createJournal>, body: string) =>
  journal.open({ at: 0, method: 'POST', path: '/x', headers: {}, raw: Buffer.from(body), rows: () => 3 })

describe('journal', () => {
  test('an entry is there from its arrival and completed by its answer', () => {
    const journal = createJournal(1_000)
    const entry = enter(journal, '{"a":1}')
    expect(journal.list()).toMatchObject([{ seq: 1, at: '1970-01-01T00:00:00.000Z', method: 'POST', path: '/x', body: { a: 1 }, status: null }])
    entry.finish(200, { ok: true }, 'slow_body')
    expect(journal.list()).toMatchObject([{ status: 200, response: { ok: true }, fault: 'slow_body' }])
    expect(journal.list(1)).toEqual([])
  })

  test('beyond the budget the oldest bodies are replaced by digest and row count, and the file keeps them', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'twin-')), 'journal.ndjson')
    const journal = createJournal(10, file)
    for (const body of ['"aaaaaa"', '"bbbbbb"']) enter(journal, body).finish(200, null)
    expect(journal.list().map(({ body }) => body)).toEqual([{ omitted: true, sha256: expect.stringMatching(/^[0-9a-f]{64}$/), rows: 3, bytes: 8 }, 'bbbbbb'])
    expect(
      readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).body),
    ).toEqual(['aaaaaa', 'bbbbbb'])
  })
})
