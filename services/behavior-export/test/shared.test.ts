/** SYNC.md C2, the desired side: what somebody may not be sent for, nobody is sent for by an identifier that both carry. */
import { groupsLeft, RowsAnswer } from '@audience-sync/contracts/internal/feed'
import { groupBit, type Identifiers, purposeBit, purposes } from '@audience-sync/contracts/people'
import type { Tx } from '@audience-sync/db/database'
import { sha256 } from '@audience-sync/destination-kit/normalise/digest'
import { until } from '@audience-sync/testing/until'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { countEligible, rowsAnswer } from '../src/feed/pages.ts'
import { eraseCustomer } from '../src/ingest/erase.ts'
import { reassess } from '../src/reassess.ts'
import { DENIED, type Fixture, fixture, GRANTED, T0 } from './fixture.ts'

let f: Fixture
beforeAll(async () => {
  f = await fixture()
})
afterAll(() => f.database.drop())

let cursor = '0:0'
let at = T0
beforeEach(async () => {
  cursor = (await f.changes(cursor)).next
})

const later = () => {
  at += 1
  return at
}

const [EMAIL, PHONE, NAME] = [groupBit('email'), groupBit('phone'), groupBit('name')]
const eligible = async (purpose: (typeof purposes)[number], groups: number, behaviorNo = f.behavior.no, atMost: number | null = null) =>
  (await f.inTenant((tx) => countEligible(tx, behaviorNo, purposeBit(purpose), groups, atMost))).eligible

let lines = 0
const newPhone = () => {
  lines += 1
  return `+1415555${String(lines).padStart(4, '0')}`
}

const consent = (customerId: string, given = DENIED) => f.stores([f.person(customerId, later(), { identifiers: undefined, consent: given })])
const carries = (customerId: string, identifiers: Identifiers, given = GRANTED) =>
  f.stores([f.person(customerId, later(), { identifiers: { email: `${customerId}@example.com`, ...identifiers }, consent: given })])
const joins = (...ids: string[]) => f.joins(ids.map((id) => [id, true]))
const erase = (customerId: string) => f.inTenant((tx) => eraseCustomer(tx, f.tenant, customerId, new Date(T0)))
const sent = async (customerId: string, purpose: (typeof purposes)[number] = 'ads') => {
  const [verdict] = (await f.fetch([await f.numberOf(customerId)], purpose)).verdicts
  return verdict?.verdict === 'send' ? verdict.identifiers : verdict?.verdict
}
const rowsOf = async (numbers: number[]) => RowsAnswer.parse(JSON.parse(await f.inTenant((tx) => rowsAnswer(tx, f.behavior.no, numbers)))).rows
const rowOf = async (customerId: string) => (await rowsOf([await f.numberOf(customerId)]))[0]
const news = async () => (await f.changes(cursor)).rows.map(([no]) => no)
const tagRows = () => f.database.admin('SELECT xmin, * FROM behavior_export.identifier_tag ORDER BY tag, customer_no')

/** Two members with one phone. */
async function household(name: string) {
  const phone = newPhone()
  const [out, stays] = [`${name}_out`, `${name}_stays`]
  await joins(out, stays)
  await carries(out, { phone })
  await carries(stays, { phone })
  cursor = (await f.changes(cursor)).next
  return { phone, out, stays, both: { email: `${stays}@example.com`, phone }, email: { email: `${stays}@example.com` } }
}

describe('C2 an identifier that somebody shares with a person who may not be sent', () => {
  test('is withheld for ads and not for the CRM, and comes back with a new consent, each time by a row of the feed', async () => {
    const { out, stays, both, email } = await household('consent')
    const before = await rowOf(stays)
    await consent(out)
    expect([await sent(out), await sent(stays), await sent(stays, 'ads_ldu'), await sent(stays, 'crm')]).toEqual(['suppressed', email, email, both])
    const row = await rowOf(stays)
    expect([row?.[3], row?.[4] === before?.[4]]).toEqual([before?.[3], false])
    expect((await news()).toSorted()).toEqual([await f.numberOf(out), await f.numberOf(stays)].toSorted())
    expect((await f.changes(cursor)).rows).toContainEqual(row)
    cursor = (await f.changes(cursor)).next
    await consent(out, GRANTED)
    expect([await sent(stays), await rowOf(stays)]).toEqual([both, before])
    expect(await news()).toContain(await f.numberOf(stays))
  })

  test('changes the fingerprint of its own group only', async () => {
    const { out, stays } = await household('group')
    const pieces = async () =>
      Buffer.from((await rowOf(stays))?.[4] ?? '', 'base64')
        .toString('hex')
        .match(/.{16}/g) ?? []
    const before = await pieces()
    await consent(out)
    const after = await pieces()
    expect(after.map((piece, i) => piece === before[i])).toEqual([true, false, true]) // e-mail, phone, consent
  })

  test('stays withheld when that person is erased, also of those who come later', async () => {
    const { phone, out, stays, email } = await household('erased')
    await erase(out)
    expect([await sent(stays), await sent(stays, 'crm')]).toEqual([email, email])
    expect(await news()).toContain(await f.numberOf(stays))
    await joins('erased_later')
    await carries('erased_later', { phone })
    expect(await sent('erased_later')).toEqual({ email: 'erased_later@example.com' })
  })

  test('is known in another spelling, hashed, and among several addresses', async () => {
    await carries('spelled_out', { phone: '+1 (415) 555-7700', email: 'One@Example.com', mobileAdId: 'AAAA1111-BBBB', externalId: 'X1' }, DENIED)
    await joins('spelled', 'spelled_digest')
    await carries('spelled', { phone: '+14155557700', emails: ['one@example.com', 'two@example.com'], mobileAdId: 'aaaa1111-bbbb', externalId: 'X1' })
    expect(await sent('spelled')).toEqual({ email: 'spelled@example.com', emails: ['two@example.com'] })
    await carries('spelled_digest', { email: sha256('one@example.com'), firstName: 'Ada' })
    expect(await sent('spelled_digest')).toEqual({ firstName: 'Ada' })
  })

  test('comes back when that person no longer carries it, and when two denied it only with the second', async () => {
    const { phone, out, stays, both, email } = await household('moves')
    await carries('moves_third', { phone }, DENIED)
    await consent(out)
    expect(await sent(stays)).toEqual(email)
    await carries('moves_third', {}, DENIED)
    expect(await sent(stays)).toEqual(email)
    await carries(out, {}, DENIED)
    expect(await sent(stays)).toEqual(both)
  })

  test('denied by both: each has it back only when the other consents', async () => {
    const { out, stays, both, email } = await household('mutual')
    await f.stores([out, stays].map((id) => f.person(id, later(), { identifiers: undefined, consent: DENIED })))
    await consent(stays, GRANTED)
    expect(await sent(stays)).toEqual(email)
    await consent(out, GRANTED)
    expect(await sent(stays)).toEqual(both)
  })

  test('a new default country withholds what it makes somebody deny, and what it makes readable', async () => {
    await carries('country_out', { phone: '030 901820' }, DENIED)
    await carries('country_stays', { phone: '+49 30 901820' })
    await joins('country_stays')
    expect(await sent('country_stays')).toMatchObject({ phone: '+49 30 901820' })
    await f.database.admin(`UPDATE behavior_export.tenant SET default_country = 'DE', reassess_after = 0 WHERE id = $1`, [f.tenant.id])
    await reassess(f.db, f.vault)
    expect(await sent('country_stays')).toEqual({ email: 'country_stays@example.com' })
    await f.database.admin(`UPDATE behavior_export.tenant SET default_country = NULL, reassess_after = 0 WHERE id = $1`, [f.tenant.id])
    await reassess(f.db, f.vault)
    expect(await sent('country_stays')).toMatchObject({ phone: '+49 30 901820' })
  })

  test('of another tenant is nobody’s business here', async () => {
    const other = await fixture({ database: f.database })
    const phone = newPhone()
    await other.stores([other.person('foreign', T0, { identifiers: { phone }, consent: DENIED })])
    await joins('foreign_here')
    await carries('foreign_here', { phone })
    expect(await sent('foreign_here')).toMatchObject({ phone })
  })
})

test('C2 whoever has nothing left that may be sent is not counted as eligible; another identifier, another address or another purpose counts', async () => {
  const { no } = await f.behaviorOf('eligible')
  const ids = ['left_phone', 'left_name', 'left_address', 'left_free']
  await f.joins(
    ids.map((id) => [id, true]),
    no,
  )
  const phone = newPhone()
  await f.stores([
    f.person('left_out', later(), { identifiers: { phone, email: 'left_out@example.com' } }),
    f.person('left_phone', later(), { identifiers: { phone } }),
    f.person('left_name', later(), { identifiers: { phone, firstName: 'Ada', lastName: 'Lovelace' } }),
    f.person('left_address', later(), { identifiers: { email: 'left_out@example.com', emails: ['left_address@example.com'] } }),
    f.person('left_free', later(), { identifiers: { phone: newPhone() } }),
  ])
  expect(await eligible('ads', EMAIL | PHONE | NAME, no)).toBe(4)
  await consent('left_out')
  // Of those with a phone, one has another.
  expect([await eligible('ads', PHONE, no), await eligible('ads', PHONE | NAME, no), await eligible('ads', EMAIL, no)]).toEqual([1, 2, 1])
  expect([await eligible('ads', EMAIL | PHONE | NAME, no), await eligible('ads_ldu', EMAIL | PHONE | NAME, no)]).toEqual([3, 3])
  expect(await eligible('crm', PHONE, no)).toBe(3)
  expect(await eligible('ads', EMAIL | PHONE | NAME, no, 2)).toBe(2)
  await consent('left_out', GRANTED)
  expect(await eligible('ads', EMAIL | PHONE | NAME, no)).toBe(4)
})

test('C2 a replay writes no tag, no feed row and no customer', async () => {
  const phone = newPhone()
  await joins('replay_1', 'replay_2')
  const batch = [f.person('replay_1', T0 + 1, { identifiers: { phone }, consent: DENIED }), f.person('replay_2', T0 + 1, { identifiers: { phone } })]
  await f.stores(batch)
  cursor = (await f.changes(cursor)).next
  const customers = () => f.database.admin('SELECT xmin, no FROM behavior_export.customer ORDER BY no')
  const before = [await tagRows(), await customers()]
  expect(await f.stores(batch)).toMatchObject({ changed: 0, stale: 0 })
  expect([await tagRows(), await customers()]).toEqual(before)
  expect(await news()).toEqual([])
})

test('C2 an opt-out and a newcomer with the same phone at one time: neither overlooks the other, in either order', async () => {
  for (const [name, first] of [
    ['race_a', 'opt_out'],
    ['race_b', 'newcomer'],
  ] as const) {
    const phone = newPhone()
    await carries(`${name}_out`, { phone })
    await joins(`${name}_new`)
    const works = {
      opt_out: f.people([f.person(`${name}_out`, later(), { identifiers: undefined, consent: DENIED })]),
      newcomer: f.people([f.person(`${name}_new`, later(), { identifiers: { phone, firstName: 'Ada' } })]),
    }
    let second: Promise<unknown> = Promise.resolve()
    await f.inTenant(async (tx) => {
      await works[first](tx)
      second = f.inTenant(works[first === 'opt_out' ? 'newcomer' : 'opt_out'])
      await until('the other to wait', async () => {
        const rows = await f.database.admin(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
        return rows.length > 0
      })
    })
    await second
    expect(await sent(`${name}_new`)).toEqual({ firstName: 'Ada' })
  }
})

test('C2 C6 opt-outs of people who share, and memberships in any order, all end and agree', async () => {
  const ids = Array.from({ length: 30 }, (_, n) => `many_${n}`)
  const phones = Array.from({ length: 5 }, newPhone)
  await f.stores(ids.map((id, n) => f.person(id, later(), { identifiers: { phone: phones[n % 5] as string } })))
  await Promise.all(
    Array.from({ length: 12 }, (_, round) => {
      const order = round % 2 ? ids : ids.toReversed()
      if (round % 3 === 0) return f.joins(order.map((id) => [id, true, T0 + round]))
      return f.stores(
        order.filter((_, n) => n % 4 === round % 4).map((id) => f.person(id, later(), { identifiers: undefined, consent: round % 5 ? DENIED : GRANTED })),
      )
    }),
  )
  const latest = new Map((await f.changes(cursor)).rows.map((row) => [row[0], row]))
  for (const row of await rowsOf([...latest.keys()])) expect(latest.get(row[0])).toEqual(row)
  await expectWithheldByDefinition(ids)
})

/** What the rule says, by brute force over everybody stored: the fetch must say the same, and the fingerprints must be the feed's. */
async function expectWithheldByDefinition(ids: readonly string[]) {
  const people = await f.database.admin<{ no: number; customer_id: string; denies: number; tags: string[] }>(
    `SELECT c.no, c.customer_id, 7 & ~c.purposes AS denies, coalesce(array_agg(encode(i.tag, 'hex')) FILTER (WHERE i.tag IS NOT NULL), '{}') AS tags
     FROM behavior_export.customer c LEFT JOIN behavior_export.identifier_tag i ON i.customer_no = c.no GROUP BY c.no`,
  )
  const asked = people.filter(({ customer_id }) => ids.includes(customer_id))
  for (const [bit, purpose] of purposes.entries()) {
    const numbers = asked.map(({ no }) => no)
    const rows = await rowsOf(numbers)
    const { verdicts } = await f.fetch(numbers, purpose)
    asked.forEach((one, i) => {
      const verdict = verdicts[i]
      if (verdict?.verdict !== 'send') return
      expect([verdict.groups, verdict.fingerprints]).toEqual(rows[i]?.slice(3, 5))
      const free = one.tags.filter((tag) => !people.some(({ no, denies, tags }) => no !== one.no && denies & (1 << bit) && tags.includes(tag)))
      const { email, emails = [], phone } = verdict.identifiers
      expect(new Set([email, ...emails, phone].filter((value) => value !== undefined)).size).toBe(free.length)
      // The feed says of which groups nothing is left: no address, no phone.
      const row = rows[i]
      const left = row ? groupsLeft(row, 1 << bit) : 0
      expect([(left & EMAIL) !== 0, (left & PHONE) !== 0]).toEqual([email !== undefined || emails.length > 0, phone !== undefined])
    })
  }
}

test('C2 property: whatever happens in whatever order, the fetch withholds what the rule says and its fingerprints are those of the feed', async () => {
  const who = fc.constantFrom('any_1', 'any_2', 'any_3', 'any_4')
  const said = fc.constantFrom(GRANTED, DENIED, { ...GRANTED, crm: 'denied' as const }, { ...GRANTED, saleShareOptOut: true })
  const address = fc.constantFrom('a@example.com', 'b@example.com', 'c@example.com')
  const given = fc.record(
    { email: address, emails: fc.uniqueArray(address, { maxLength: 2 }), phone: fc.constantFrom('+14155559001', '+14155559002') },
    { requiredKeys: [] },
  ) as fc.Arbitrary<Identifiers>
  const step = fc.uniqueArray(
    fc.oneof(
      fc.record({ customerId: who, consent: said }),
      fc.record({ customerId: who, identifiers: given }),
      fc.record({ customerId: who, identifiers: given, consent: said }),
    ),
    { minLength: 1, maxLength: 3, selector: ({ customerId }) => customerId },
  )
  const ids = ['any_1', 'any_2', 'any_3', 'any_4']
  await joins(...ids)
  const { no: counted } = await f.behaviorOf('counted')
  await f.joins(
    ids.map((id) => [id, true]),
    counted,
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 5 }), async (steps) => {
      for (const inputs of steps) {
        await f.stores(inputs.map((input) => ({ ...input, at: later() })))
        await expectWithheldByDefinition(ids)
        for (const purpose of purposes) {
          const given = await Promise.all(ids.map((id) => sent(id, purpose)))
          const left = given.filter((one) => typeof one === 'object' && (one.email ?? one.emails?.[0] ?? one.phone) !== undefined)
          expect(await eligible(purpose, EMAIL | PHONE, counted)).toBe(left.length)
        }
      }
    }),
    { numRuns: 25 },
  )
})

test('C2 a thousand who share a phone cost a thousand times one, however they come and whoever denies', async () => {
  const phone = newPhone()
  const ids = Array.from({ length: 1_000 }, (_, n) => `crowd_${n}`)
  const readSoFar = async (tx: Tx) => {
    const { rows } = await tx.query<{ reads: number }>(
      `SELECT sum(seq_tup_read + idx_tup_fetch)::int AS reads FROM pg_stat_xact_user_tables WHERE relname IN ('identifier_tag', 'customer', 'membership')`,
    )
    return rows[0]?.reads ?? 0
  }
  /** Rows read by this work: a figure that no other load touches. */
  const reads = (work: ReturnType<Fixture['people']>) =>
    f.inTenant(async (tx) => {
      const before = await readSoFar(tx)
      await work(tx)
      return (await readSoFar(tx)) - before
    })
  const arrive = (some: readonly string[], given = GRANTED) => f.people(some.map((id) => f.person(id, later(), { identifiers: { phone }, consent: given })))
  const say = (id: string, given = DENIED) => f.people([f.person(id, later(), { identifiers: undefined, consent: given })])
  await joins(...ids)
  await f.database.admin('VACUUM ANALYZE behavior_export.customer, behavior_export.identifier_tag, behavior_export.membership')
  const few = 60 // rows, for one customer with all of their places
  expect(await reads(arrive(ids.slice(0, 500)))).toBeLessThan(few * 500)
  expect(await reads(arrive(ids.slice(500)))).toBeLessThan(few * 500)
  cursor = (await f.changes(cursor)).next
  expect(await reads(say('crowd_0'))).toBeLessThan(few * 1_000)
  expect(await news()).toHaveLength(1_000)
  await reads(say('crowd_1')) // now two deny: crowd_0 loses it too
  cursor = (await f.changes(cursor)).next
  for (const id of ids.slice(2, 40)) expect(await reads(say(id))).toBeLessThan(few)
  expect(await news()).toHaveLength(38) // their own rows, and nobody else's
  expect(await reads(arrive(ids.slice(500, 1_000), DENIED))).toBeLessThan(few * 500)
  await expectWithheldByDefinition(['crowd_0', 'crowd_1', 'crowd_2', 'crowd_999'])
})
