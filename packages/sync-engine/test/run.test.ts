import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { emails, sha256 } from './people.ts'
import { makeWorld, type World } from './world.ts'

let world: World
beforeEach(async () => {
  world = await makeWorld()
})
afterEach(() => world.close())

describe('a run', () => {
  test('makes the far side equal to the behavior, and says so only when the platform has applied it', async () => {
    for (const no of [1, 2, 3]) world.behavior.join(no)
    const first = await world.request()
    await world.work()
    expect(await world.run(first)).toMatchObject({ status: 'applying', counts: { planned: 3, accepted: 3, added: 3, applied: 0 } })
    expect(await world.audience()).toMatchObject({ status: 'pending' })
    await world.settle()
    expect(world.far()).toEqual(emails(1, 2, 3))
    expect(await world.run(first)).toMatchObject({ status: 'completed', counts: { accepted: 3, applied: 3 } })
    expect(await world.audience()).toMatchObject({ status: 'active', full_reason: null })
  })

  test('says only what changed since the last one', async () => {
    for (const no of [1, 2, 3]) world.behavior.join(no)
    await world.sync()
    const calls = world.twin.journal().length
    world.behavior.join(4)
    world.behavior.leave(2)
    const second = await world.sync()
    expect(world.far()).toEqual(emails(1, 3, 4))
    expect(await world.run(second)).toMatchObject({ mode: 'incremental', status: 'completed', counts: { planned: 2, added: 1, removed: 1, unchanged: 0 } })
    const uploads = world.twin
      .journal()
      .slice(calls)
      .filter(({ path }) => path.endsWith('/users'))
    expect(uploads.map(({ method }) => method).sort()).toEqual(['DELETE', 'POST'])
  })

  test('has nothing to say when nothing changed', async () => {
    world.behavior.join(1)
    await world.sync()
    const again = await world.sync()
    expect(await world.run(again)).toMatchObject({ status: 'completed', counts: { planned: 0 } })
    const full = await world.sync('full')
    expect(await world.run(full)).toMatchObject({ mode: 'full', status: 'completed', counts: { planned: 0, unchanged: 1 } })
  })

  test('a removal after an e-mail change carries the old digest', async () => {
    world.behavior.join(1)
    await world.sync()
    world.behavior.change(1, { identifiers: { email: 'new@example.com' } })
    const run = await world.sync()
    expect(world.far()).toEqual([sha256('new@example.com')])
    expect(await world.run(run)).toMatchObject({ counts: { planned: 1, replaced: 1, added: 0, removed: 0 } })
    const removal = world.twin.journal().find(({ method, path }) => method === 'DELETE' && path.endsWith('/users'))
    expect(JSON.stringify(removal?.body)).toContain(sha256('p1@example.com'))
  })

  test('C1: a replacement removes only what the person does not keep, and its last call is an addition', async () => {
    world.behavior.join(1, { email: 'old@example.com', phone: '+14155550100' })
    await world.sync()
    world.behavior.change(1, { identifiers: { email: 'new@example.com', phone: '+14155550100' } })
    await world.sync()
    expect(world.far('PHONE')).toEqual([sha256('14155550100')])
    expect(world.far('EMAIL')).toEqual([sha256('new@example.com')])
    const uploads = world.twin.journal().filter(({ path }) => path.endsWith('/users'))
    expect(uploads.map(({ method }) => method)).toEqual(['POST', 'DELETE', 'POST'])
    expect(JSON.stringify(uploads[1]?.body)).not.toContain(sha256('14155550100'))
  })
})
