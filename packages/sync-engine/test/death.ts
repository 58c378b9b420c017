/** A worker that dies at a chosen moment: its lease goes to a successor, as after a SIGKILL, and it writes nothing any more. */
import type { SidedWorld } from './world.ts'

export const die = (world: SidedWorld) =>
  world.database.admin(`UPDATE sync.audience SET lease_epoch = lease_epoch + 1, lease_owner = 'another', lease_until = now() - interval '1 second'`)

/** One claim, ended before its n-th transaction; answers whether there were so many. */
export async function workAndDieAt(world: SidedWorld, n: number): Promise<boolean> {
  let left = n
  let died = false
  world.hooks.beforeTransaction = async () => {
    left -= 1
    if (left !== 0) return
    died = true
    await die(world)
  }
  // One claim only: the next one is the successor's.
  await world.workOnce()
  delete world.hooks.beforeTransaction
  return died
}
