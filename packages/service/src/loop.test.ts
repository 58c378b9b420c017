import { expect, test } from '@jest/globals'
import { createLogger } from './log.ts'
import { startLoop } from './loop.ts'

const log = createLogger({ name: 'test', level: 'silent' })
const HOUR = 3_600_000

test('while more is waiting, rounds follow at once; a failed round is tried again; stop waits for the round that runs', async () => {
  const rounds: string[] = []
  let stop = async () => {}
  let finish = () => {}
  const third = new Promise<void>((reached) => {
    const loop = startLoop({
      name: 'test',
      log,
      everyMs: 1,
      async work() {
        rounds.push('began')
        if (rounds.length === 1) return true
        if (rounds.length === 2) throw new Error('passing trouble')
        reached()
        await new Promise<void>((resolve) => {
          finish = resolve
        })
        rounds.push('ended')
        return true
      },
    })
    stop = loop.stop
  })
  await third
  const stopped = stop()
  finish()
  await stopped
  expect(rounds).toEqual(['began', 'began', 'began', 'ended'])
})
test('wake ends the pause; stop does not wait it out', async () => {
  let rounds = 0
  let again = () => {}
  const second = new Promise<void>((resolve) => {
    again = resolve
  })
  const loop = startLoop({
    name: 'test',
    log,
    everyMs: HOUR,
    async work() {
      rounds += 1
      if (rounds === 2) again()
      return false
    },
  })
  loop.wake()
  await second
  await loop.stop()
  expect(rounds).toBe(2)
  expect(loop.healthy().ok).toBe(true)
})
