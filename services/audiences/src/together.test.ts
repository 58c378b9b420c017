import { expect, test } from '@jest/globals'
import { together } from './together.ts'

/** Work that ends when it is told to; each start is counted. */
function slowWork() {
  const ends: ((value: string) => void)[] = []
  return { ends, work: () => new Promise<string>((resolve) => ends.push(resolve)) }
}
const settle = () => new Promise((resolve) => setImmediate(resolve))

test('C5: a crowd shares the run that begins after it came, never the one that runs already', async () => {
  const share = together<string>()
  const { ends, work } = slowWork()
  const first = share('a', work)
  const crowd = Array.from({ length: 99 }, () => share('a', work))
  const other = share('b', work)
  expect(ends).toHaveLength(2)
  ends[0]?.('first')
  await settle()
  expect(ends).toHaveLength(3)
  const late = share('a', work)
  ends[1]?.('other')
  ends[2]?.('shared')
  await settle()
  ends[3]?.('late')
  expect([await first, await other, await late]).toEqual(['first', 'other', 'late'])
  expect(new Set(await Promise.all(crowd))).toEqual(new Set(['shared']))
})

test('a failure is told to those who shared it, and the next one tries again', async () => {
  const share = together<string>()
  let tries = 0
  const work = async () => {
    tries += 1
    await settle()
    if (tries < 3) throw new Error(`try ${tries}`)
    return 'done'
  }
  const answers = await Promise.allSettled([share('a', work), share('a', work), share('a', work)])
  expect(answers.map((answer) => (answer.status === 'rejected' ? answer.reason.message : answer.value))).toEqual(['try 1', 'try 2', 'try 2'])
  expect(await share('a', work)).toBe('done')
})
