import type { Run } from '@audience-sync/contracts/rest/runs'
import { expect, test } from '@jest/globals'
import { watchRun } from './run-stream.ts'

const run = (done: number, finishedAt: string | null = null) => ({ progress: { done, total: 2 }, finishedAt }) as Run

/** Reads what each look gives, the last one for ever. */
const looks = (...runs: Run[]) => {
  let look = 0
  return async () => runs[Math.min(look++, runs.length - 1)] as Run
}

test('each change is told once, and the end', async () => {
  const read = looks(run(0), run(0), run(1), run(1), run(2, '2026-11-23T10:00:00Z'))
  const told: string[] = []
  for await (const text of watchRun(read, { signal: new AbortController().signal, pollMs: 1 })) told.push(text)
  expect(told.map((text) => text.split('\n')[0])).toEqual(['event: run', 'event: run', 'event: run', 'event: end'])
  expect(told[1]).toBe(`event: run\ndata: ${JSON.stringify(run(1))}\n\n`)
  expect(told.every((text) => text.endsWith('\n\n'))).toBe(true)
})

test('a run that does not move is heard of all the same, until its reader goes', async () => {
  const gone = new AbortController()
  const told: string[] = []
  for await (const text of watchRun(looks(run(0)), { signal: gone.signal, pollMs: 1, heartbeatMs: 2 })) {
    told.push(text)
    if (told.length === 3) gone.abort()
  }
  expect(told.slice(1)).toEqual([': nothing new\n\n', ': nothing new\n\n'])
})
