/** A world whose account is of Meta's Limited tier: 60 points. Limiter and twin have one clock, which the test pushes, so that nobody waits. */
import { expect } from '@jest/globals'
import { makeWorld, type World, type WorldOptions } from './world.ts'

const LIMITED = 'development_access'

export interface LimitedWorld {
  readonly world: World
  /** Time passes, here and there; waits for the quota do the same. */
  push(ms: number): void
}

export async function limitedWorld(options: WorldOptions): Promise<LimitedWorld> {
  let ahead = 0
  const push = (ms: number) => {
    ahead += ms
    world.twin.clock.advance(ms)
  }
  const world = await makeWorld({ clock: { aheadMs: () => ahead, sleep: async (ms) => push(ms) }, tier: null, ...options })
  const { accountExternalId } = await world.engine.grants.get(world.tenantId, '')
  const changed = await fetch(`${world.twin.url}/_twin/accounts/act_${accountExternalId}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ tier: LIMITED }),
  })
  expect(changed.ok).toBe(true)
  return { world, push }
}
