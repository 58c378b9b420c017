/** The tenant's stream: in order, nobody else's, and nothing is missed by whoever comes back. */
import { newUuid } from '@audience-sync/contracts/ids'
import type { Database } from '@audience-sync/db/database'
import { until } from '@audience-sync/testing/until'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Position, positionOf, streamEvents } from '../src/stream.ts'
import { tell } from '../src/tell.ts'
import { held, type Rig, rig } from './rig.ts'

let at: Rig
beforeAll(async () => {
  at = await rig()
})
afterAll(() => at.close())

interface Heard {
  readonly id: string
  readonly event: string
  readonly data: { readonly data?: { readonly audienceId?: string } }
}

/** Reads until it is told to stop. */
function reader(tenantId: string, { after, types }: { after?: Position; types?: string[] } = {}) {
  const heard: Heard[] = []
  const stopping = new AbortController()
  const running = (async () => {
    for await (const text of streamEvents(at.db, { tenantId, after, types, signal: stopping.signal, pollMs: 10 })) {
      const [, id, event, data] = /^id: (.+)\nevent: (.+)\ndata: (.+)\n\n$/.exec(text) ?? []
      if (id && event && data) heard.push({ id, event, data: JSON.parse(data) as Heard['data'] })
    }
  })()
  return {
    heard,
    audiences: () => heard.flatMap(({ data }) => data.data?.audienceId ?? []),
    async stop() {
      stopping.abort()
      await running
    },
  }
}

test('what happens is heard once, in the order in which it was told, and by its tenant alone', async () => {
  const [tenant, stranger] = [newUuid(), newUuid()]
  const [mine, theirs, chosen] = [reader(tenant), reader(stranger), reader(tenant, { types: ['sync.failed'] })]
  await until('all read', () => [mine, theirs, chosen].every(({ heard }) => heard[0]?.event === 'ready'))
  const names = Array.from({ length: 20 }, (_, n) => `aud_${n}`)
  for (const name of names) await at.handIn('audience.status.changed', held(name), newUuid(), tenant)
  await until('all is heard', () => mine.audiences().length === names.length)
  expect(mine.audiences()).toEqual(names)
  await Promise.all([mine.stop(), theirs.stop(), chosen.stop()])
  for (const other of [theirs, chosen]) expect(other.heard.map(({ event }) => event)).toEqual(['ready'])
})

test('whoever comes back with the last id that he saw misses nothing, also what was told before it and committed after', async () => {
  const tenant = newUuid()
  const first = reader(tenant)
  await until('it reads', () => first.heard.length === 1)
  const slow = await heldOpen(at.db, tenant, 'aud_slow') // has its position already, and is seen by nobody
  await at.handIn('audience.status.changed', held('aud_quick'), newUuid(), tenant)
  await first.stop()
  expect(first.audiences()).toEqual([]) // it may not pass the slow one

  await slow.commit()
  const second = reader(tenant, { after: positionOf(first.heard.at(-1)?.id ?? '') })
  await until('both are heard', () => second.audiences().length === 2)
  await second.stop()
  expect(second.audiences()).toEqual(['aud_slow', 'aud_quick'])
  const third = reader(tenant, { after: positionOf(second.heard.at(-1)?.id ?? '') })
  await at.handIn('audience.status.changed', held('aud_next'), newUuid(), tenant)
  await until('the next is heard', () => third.audiences().length === 1)
  await third.stop()
  expect(third.audiences()).toEqual(['aud_next'])
})

test('an id that is not of this stream is refused', () => {
  for (const id of ['', 'x', '1', '1-', '-1', "1-1'; SELECT", '99999999999999999999999-1'])
    expect(() => positionOf(id)).toThrow(expect.objectContaining({ code: 'validation_failed' }))
})

/** A transaction that has told its event and waits with its commit. */
async function heldOpen(db: Database, tenantId: string, audienceId: string) {
  const told = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  const running = db.tenant(tenantId, async (tx) => {
    const data = { audienceId, from: 'syncing', to: 'active', reason: null, runId: null, hold: null }
    await tell(tx, { id: newUuid(), tenantId, type: 'audience.status.changed', at: new Date(), data })
    told.resolve()
    await release.promise
  })
  await told.promise
  return {
    commit: () => {
      release.resolve()
      return running
    },
  }
}
