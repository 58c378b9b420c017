/**
 * C19 by chance: people come, go and opt out while the far audience is deleted, hidden and shown again, healed, and workers die. When it
 * is quiet, the audience holds whom the behavior says, and nobody who opted out is in any far audience that lives, left or not.
 */
import { seeded } from '@audience-sync/testing/random'
import { describe, expect, test } from '@jest/globals'
import { lookAtOne } from '../src/drift/look.ts'
import { requestCheck, requestHeal } from '../src/requests.ts'
import { readAudience } from '../src/store/rows.ts'
import { requestFormerRemovals } from '../src/worker/former.ts'
import { answersSide } from './destinations/answers.ts'
import { worldAround } from './world.ts'

const STEPS = 40
const PEOPLE = 12
const signal = new AbortController().signal

/** The same numbers for the same seed. */
function numbers(seed: number): (below: number) => number {
  const random = seeded(seed)
  return (below) => (random() * 2 ** 32) % below
}

describe('C19: whatever happens to the far audience', () => {
  test.each([1, 2, 3, 4])(
    'C19 far side = desired, and no opt-out is forgotten anywhere (seed %i)',
    async (seed) => {
      const side = answersSide()
      const world = await worldAround(side, { rowsPerCall: 3, brake: { sharePercent: 100, minimum: 1_000 } })
      const random = numbers(seed)
      const optedOut = new Set<number>()
      const journal: string[] = []
      const tx = <T>(work: Parameters<typeof world.engine.db.tenant<T>>[1]) => world.engine.db.tenant(world.tenantId, work)
      const current = async () => (await world.audience()).external_id as string | null
      const look = async () => {
        await tx((t) => requestCheck(t, world.audienceNo))
        await lookAtOne(world.engine, signal)
      }
      const heal = async () => {
        if ((await world.audience()).missing) await tx(async (t) => requestHeal(t, await readAudience(t, world.audienceNo), false))
      }
      const run = async () => {
        await world.suppressions()
        await world.request()
        await world.work()
      }
      let dies = 0
      const die = async () => {
        if (dies === 0 || random(2) === 0) return
        dies -= 1
        await world.database.admin('UPDATE sync.audience SET lease_epoch = lease_epoch + 1, lease_owner = NULL, lease_until = NULL')
      }
      world.hooks.beforePush = die
      world.hooks.afterPush = die

      const optOut = () => {
        const no = 1 + random(PEOPLE)
        world.behavior.suppress(no, ['crm'])
        optedOut.add(no)
      }
      const hide = async () => side.hidden.add((await current()) ?? '')

      const events: readonly (readonly [string, number, () => unknown])[] = [
        ['join', 8, () => world.behavior.join(1 + random(PEOPLE))],
        ['leave', 3, () => world.behavior.leave(1 + random(PEOPLE))],
        ['opt out', 2, optOut],
        ['run', 8, run],
        ['look', 5, look],
        ['heal', 6, heal],
        ['deleted there', 1, async () => side.drop((await current()) ?? '')],
        // Nobody may list the account then: what cannot be seen is not proven gone.
        ['hidden', 3, hide],
        ['shown', 3, () => side.hidden.clear()],
        [
          'left while it was hidden',
          2,
          async () => {
            await hide()
            for (const step of [look, heal, run]) await step()
            side.hidden.clear()
            await run()
          },
        ],
        [
          'a worker dies',
          2,
          () => {
            dies = 1
          },
        ],
      ]
      const bag = events.flatMap(([name, weight, event]) => Array.from({ length: weight }, () => ({ name, event })))
      for (let no = 1; no <= PEOPLE; no += 1) world.behavior.join(no)
      try {
        await run()
        for (let step = 0; step < STEPS; step += 1) {
          const drawn = bag[random(bag.length)]
          journal.push(drawn?.name ?? '')
          await drawn?.event()
        }
        for (let i = 0; i < 3; i += 1) optOut()
        side.hidden.clear()
        dies = 0
        for (let round = 0; round < 4; round += 1) {
          await look()
          await heal()
          await run()
          await world.database.admin(`UPDATE sync.run SET not_before = NULL WHERE status = 'waiting'`)
          await world.database.admin('UPDATE sync.former_removal SET not_before = now()')
          await requestFormerRemovals(world.engine)
          await world.work()
        }
        const wanted = [...world.behavior.people.values()].filter(({ no, member }) => member && !optedOut.has(no)).map(({ no }) => `p${no}@example.com`)
        expect([journal, side.lists().get((await current()) ?? '') ?? []]).toEqual([journal, wanted.sort()])
        for (const [list, emails] of side.lists())
          expect([journal, list, emails.filter((email) => [...optedOut].some((no) => email === `p${no}@example.com`))]).toEqual([journal, list, []])
        expect(await world.database.admin('SELECT FROM sync.former_removal')).toEqual([])
      } finally {
        await world.close()
      }
    },
    180_000,
  )
})
