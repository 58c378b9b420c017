/** C24: the sums hold at every read, whatever state the batches of a run are in. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { runCounts } from '../src/counts.ts'
import { makeWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await makeWorld()
})
afterAll(() => world.close())

const STATES = ['planned', 'sending', 'accepted', 'applied', 'unknown', 'rejected', 'failed', 'cancelled', 'split', 'dissolved', 'abandoned'] as const
const kind = fc.nat({ max: 20 }).chain((people) => fc.record({ people: fc.constant(people), refused: fc.nat({ max: people }) }))
const batch = fc.record({ state: fc.constantFrom(...STATES), added: kind, removed: kind, replaced: kind, unnamed: fc.nat({ max: 80 }), repeat: fc.boolean() })

test('planned is the sum of its parts, accepted of its kinds, and no more is applied than accepted', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(batch, { maxLength: 8 }), { minLength: 1, maxLength: 4 }), async (runs) => {
      const nos: number[] = []
      await world.database.admin('DELETE FROM sync.batch')
      for (const batches of runs) {
        const [run] = await world.database.admin<{ no: number }>(
          `INSERT INTO sync.run (id, tenant_id, audience_no, destination, destination_no, trigger, mode, status)
           VALUES ($1, $2, $3, 'meta', $4, 'api', 'incremental', 'completed') RETURNING no`,
          [randomUUID(), world.tenantId, world.audienceNo, world.engine.destinationNo],
        )
        nos.push(run?.no ?? 0)
        for (const { state, added, removed, replaced, unnamed, repeat } of batches)
          await world.database.admin(
            `INSERT INTO sync.batch (id, tenant_id, run_no, audience_no, destination_no, generation, operation, rows, added, removed, replaced, rejected_added, rejected_removed,
               rejected_replaced, unnamed_rejections, repeat, state, suppressions_at, fetched_at) VALUES ($1, $2, $3, $4, $5, 1, 'add', 1, $6, $7, $8, $9, $10, $11, $12, $13, $14, '0:0', now())`,
            [
              randomUUID(),
              world.tenantId,
              run?.no,
              world.audienceNo,
              world.engine.destinationNo,
              ...[added, removed, replaced].map(({ people }) => people),
              ...[added, removed, replaced].map(({ refused }) => refused),
              unnamed,
              repeat,
              state,
            ],
          )
      }
      const counts = await world.engine.db.tenant(world.tenantId, (tx) => runCounts(tx, nos))
      runs.forEach((batches, i) => {
        const found = counts.get(nos[i] ?? 0)
        if (!found) throw new Error('A run has no counts.')
        const { planned, accepted, applied, rejected, failed, cancelled, unknown, waiting, added, removed, replaced } = found
        expect(accepted + rejected + failed + cancelled + unknown + waiting).toBe(planned)
        expect(added + removed + replaced).toBe(accepted)
        expect(applied).toBeLessThanOrEqual(accepted)
        expect(Math.min(...Object.values(found))).toBeGreaterThanOrEqual(0)
        const counted = batches.filter(({ state, repeat }) => !repeat && state !== 'split' && state !== 'dissolved')
        expect(planned).toBe(counted.reduce((sum, one) => sum + one.added.people + one.removed.people + one.replaced.people, 0))
      })
    }),
    { numRuns: process.env.FULL ? 5_000 : 100 },
  )
}, 300_000)
