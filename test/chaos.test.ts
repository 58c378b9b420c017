/** Services die at seeded moments while an audience is kept in step: nothing is lost, nothing doubled, nothing left lying. The long profile: `npm run chaos -- --profile full`. */
import { expect, jest, test } from '@jest/globals'
import { planOf, profiles } from './chaos/plan.ts'
import { CHAOS_ENV, play } from './chaos/scenario.ts'
import { judge } from './chaos/verdict.ts'
import { installation } from './e2e/stage.ts'

jest.setTimeout(400_000)

const SEED = Number(process.env.CHAOS_SEED ?? 20_261_123)
const stage = installation('kafka', CHAOS_ENV)

test(`with seed ${SEED}: kill -9 of connector-meta, audiences, behavior-export and relay loses nobody and doubles nothing`, async () => {
  const plan = planOf({ seed: SEED, ...profiles.quick })
  const { client, connection } = await stage.tenant('chaos')
  const story = await play(stage.system, client, connection, plan, () => {})
  const verdict = await judge(stage.system, client, plan, story)
  expect(story.killed).toHaveLength(profiles.quick.kills)
  expect(verdict).toMatchObject({ lost: 0, surplus: 0, doubled: 0, unpublished: 0, leases: 0, lag: 0, deadLetters: 0 })
  const { added = 0, removed = 0, replaced = 0, rejected, failed, unknown, waiting } = verdict.counts
  expect({ rejected, failed, unknown, waiting }).toEqual({ rejected: 0, failed: 0, unknown: 0, waiting: 0 })
  // A replacement is one row that goes and one that comes.
  expect(verdict.journal).toEqual({ added: added + replaced, removed: removed + replaced })
})
