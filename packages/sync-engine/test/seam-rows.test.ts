/** What only a platform that answers row by row does: rows passed over or counted without a name, tokens that run out, sets computed by one at a time. */
import { afterEach, describe, expect, test } from '@jest/globals'
import type { AudienceRow } from '../src/store/rows.ts'
import { contextOf, type Speaker } from '../src/worker/job.ts'
import { type AnswersSide, answersSide } from './destinations/answers.ts'
import { address } from './people.ts'
import { type SidedWorld, worldAround } from './world.ts'

let world: SidedWorld
afterEach(() => world.close())
const countsOf = async (run: number) => (await world.run(run)).counts

describe('a platform that answers row by row', () => {
  let side: AnswersSide
  const start = async (...members: number[]) => {
    side = answersSide()
    world = await worldAround(side)
    for (const no of members) world.behavior.join(no)
  }

  test('rows that an answer passes over in silence are refused, not believed', async () => {
    await start(1, 2, 3)
    side.silent.add(address(2))
    const run = await world.sync()
    expect(await world.run(run)).toMatchObject({ status: 'completed_with_rejections', counts: { planned: 3, accepted: 2, applied: 2, rejected: 1 } })
    expect(await world.database.admin('SELECT customer_no AS no, code FROM sync.rejection')).toEqual([{ no: 2, code: 'platform_bad_reply' }])
    side.silent.clear()
    await world.sync()
    expect(side.members()).toEqual([1, 2, 3].map(address))
  })

  test('a token that has run out is renewed by connections when it is told, and the call is made again', async () => {
    await start(1, 2)
    side.killToken()
    const { report } = world.engine.grants
    world.engine.grants.report = async (...said) => {
      await report(...said)
      side.rotateToken()
    }
    const run = await world.sync()
    expect(await world.run(run)).toMatchObject({ status: 'completed', counts: { accepted: 2 } })
    expect(world.reports).toEqual(['token_dead'])
  })

  test('C23: what is read, computed and written back is done by one at a time in an account, and by everybody at once elsewhere', async () => {
    await start(1)
    const job = (accountId: string): Speaker => ({
      engine: world.engine,
      audience: { tenantId: world.tenantId, accountId } as AudienceRow,
      lease: { signal: AbortSignal.timeout(5_000) },
      calls: [],
      usages: [],
    })
    const context = (account: string) =>
      contextOf(job(account), {
        connectionId: '',
        accountId: account,
        accountExternalId: account,
        accessToken: '',
        expiresAt: null,
        version: 1,
        tier: null,
        businessId: null,
      })
    const property = new Set<number>()
    let written: ReadonlySet<number> = property
    let meanwhile = () => {}
    const met = new Promise<void>((resolve) => {
      meanwhile = resolve
    })
    const add = (no: number) =>
      context('portal-1').alone('behaviors', async () => {
        const read = new Set(written)
        await met
        written = read.add(no)
      })
    const writers = Promise.all([1, 2, 3].map(add))
    await context('portal-2').alone('behaviors', async () => meanwhile())
    await writers
    expect([...written].sort()).toEqual([1, 2, 3])
  })

  test('a removal that is refused leaves the person in the ledger, to be removed later', async () => {
    await start(1, 2)
    await world.sync()
    world.behavior.leave(1)
    side.silent.add(address(1))
    expect(await countsOf(await world.sync())).toMatchObject({ planned: 1, removed: 0, rejected: 1 })
    side.silent.clear()
    expect(await countsOf(await world.sync())).toMatchObject({ planned: 1, removed: 1 })
    expect(side.members()).toEqual([address(2)])
  })

  test('C24: rows counted as refused without a name make so many people unknown', async () => {
    await start(1, 2, 3)
    side.unnamed = 2
    const run = await world.sync()
    expect(await countsOf(run)).toMatchObject({ planned: 3, accepted: 1, unknown: 2 })
    world.behavior.leave(3)
    side.unnamed = 1
    await world.sync()
    await world.sync()
    expect(side.members()).toEqual([])
  })
})
