/** The end of a story on Meta's side: the platform finishes what it took, and last words are said again, until nothing is left to repeat. */
import { requestRepeats } from '../src/worker/repeat.ts'
import type { World } from './world.ts'

export async function calm(world: World): Promise<void> {
  for (let round = 0; round < 10; round += 1) {
    world.twin.clock.advance(60_000)
    await world.settle()
    if (!(await requestRepeats(world.engine))) return
    await world.work()
  }
  throw new Error('It never came to rest.')
}
