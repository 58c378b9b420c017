/** A behavior is announced when it is made and when it is described anew, by whichever door, in the transaction that did it. */

import { BehaviorCreatedSchema } from '@audience-sync/contracts/events/gen/audience_sync/events/v1/behavior_pb'
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import { fromBinary } from '@bufbuild/protobuf'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type BehaviorState, changeBehavior, requireBehavior, storeBehavior } from '../src/behaviors.ts'
import { type Fixture, fixture, T0 } from './fixture.ts'

let f: Fixture
beforeAll(async () => {
  f = await fixture()
})
afterAll(() => f.database.drop())

/** What was announced of a behavior, oldest first. */
const told = async (behaviorId: string) =>
  (await f.events())
    .filter(({ topic }) => topic === 'behavior.created' || topic === 'behavior.criteria_changed')
    .map(({ topic, value }) => ({ topic, ...fromBinary(BehaviorCreatedSchema, value) })) // the two messages have one shape
    .filter((one) => one.behaviorId === behaviorId)
    .map(({ topic, key, kind }) => `${topic} ${key} ${kind}`)

test('over REST: made, then described anew; another name is no news', async () => {
  const made = await f.behaviorOf('by_rest')
  const id = publicId('behavior', made.id)
  const patch = (change: Parameters<typeof changeBehavior>[3]) =>
    f.inTenant(async (tx) => changeBehavior(tx, f.tenant.id, await requireBehavior(tx, id), change))
  await patch({ name: 'Another name' })
  await patch({ description: 'three bookings in a year' })
  await patch({ description: 'three bookings in a year' })
  await patch({ kind: 'suggested', key: 'renamed' })
  expect(await told(id)).toEqual(['behavior.created by_rest custom', 'behavior.criteria_changed by_rest custom', 'behavior.criteria_changed renamed suggested'])
})

test('by event: the first one makes it, a later one describes it anew, older and equal news say nothing', async () => {
  const id = newUuid()
  const says = (description: string, at: number, more: Partial<BehaviorState> = {}) =>
    f.inTenant((tx) => storeBehavior(tx, f.tenant, { id, key: 'by_event', name: 'By event', kind: 'custom', description, occurredAt: new Date(at), ...more }))
  await says('one', T0)
  await says('one', T0)
  await says('older', T0 - 1)
  await says('one', T0 + 1, { name: 'Another name' })
  await says('two', T0 + 2)
  expect(await told(publicId('behavior', id))).toEqual(['behavior.created by_event custom', 'behavior.criteria_changed by_event custom'])
})
