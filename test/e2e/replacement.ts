/** A large full refresh says the whole list anew, and whoever opts out in the middle of it is gone at its end. */
import { connectMeta, createAudience, createBehavior, ingest, members, newTenant, refresh, waitRun } from '@audience-sync/testing/conductor-client'
import { until } from '@audience-sync/testing/until'
import { describe, expect, test } from '@jest/globals'
import { addUp } from './engine.ts'
import { customer, farRows, joins, lastSeq, leaves, optedOut, people, person, rowsOf } from './people.ts'
import type { Stage } from './stage.ts'

/** Disabled, and nobody else's: an account in which one tenant alone has audiences, as opt-outs for the whole account want it. */
const OWN_ACCOUNT = '1000000000000004'
const SIZE = 10_400 // more than one call takes
const CHANGED = 4_000 // more than three in ten

export function replacement(stage: Stage): void {
  describe('a replacement of the whole list', () => {
    test('a full refresh with a large difference is one session of usersreplace; an opt-out in the middle is honoured', async () => {
      const { url, adminKey, twin } = stage.system
      await twin.changeAccount(OWN_ACCOUNT, { status: 1, tier: 'standard_access' })
      try {
        const { client } = await newTenant(url, adminKey, 'replacement')
        const { accounts } = await connectMeta(client, twin, [OWN_ACCOUNT])
        const behavior = await createBehavior(client, 'replaced')
        await ingest(client, people(0, SIZE + CHANGED).map(customer))
        await members(client, behavior, people(0, SIZE).map(joins))
        const made = await createAudience(client, behavior, accounts.get(OWN_ACCOUNT).id)
        await waitRun(client, made.lastRun.id)
        const { externalId } = await client.get(`/v1/audiences/${made.id}`)

        await members(client, behavior, [...people(0, CHANGED).map(leaves), ...people(SIZE, SIZE + CHANGED).map(joins)])
        const seq = await lastSeq(twin)
        const path = `${externalId}/usersreplace`
        // Its first call takes a while: time for somebody who is in it to opt out.
        await twin.fault({ match: { path, body: '"batch_seq":1' }, kind: 'slow_body', delayMs: 2_500 })
        const { id } = await refresh(client, made.id, 'full')
        // Not when it is planned: whoever opts out before the call leaves is not in it.
        await until('the first call has arrived', async () => (await twin.journal(seq)).some((call) => call.path.includes(path)), { timeoutMs: 60_000 })
        await ingest(client, [optedOut(person(CHANGED))])
        const since = async () => (await twin.journal(seq)).filter(({ method }) => method !== 'GET')
        await until('the opt-out has gone to the whole account', async () => (await since()).some((call) => call.path.includes('usersofanyaudience')), {
          timeoutMs: 60_000,
        })

        const run = await waitRun(client, id)
        addUp(run)
        expect(run).toMatchObject({ status: 'completed', mode: 'full', counts: { added: CHANGED, removed: CHANGED, replaced: 0 } })
        const calls = (await since()).filter(({ path, status }) => status === 200 && path.includes(externalId))
        expect(calls.map(({ path }) => path.split('?')[0]?.split('/').at(-1))).toEqual(['usersreplace', 'usersreplace'])
        // Said again after the end: what the replacement brought back is gone.
        const left = rowsOf(people(CHANGED + 1, SIZE + CHANGED))
        await until('the one who opted out is gone for good', async () => (await farRows(twin, externalId)).length === left.length, { timeoutMs: 60_000 })
        expect(await farRows(twin, externalId)).toEqual(left)
      } finally {
        await twin.changeAccount(OWN_ACCOUNT, { status: 2 })
      }
    })
  })
}
