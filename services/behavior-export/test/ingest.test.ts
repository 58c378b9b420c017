import { groupBit, purposeBit, UNREAD_BIT } from '@audience-sync/contracts/people'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { DENIED, type Fixture, fixture, GRANTED, T0 } from './fixture.ts'

let f: Fixture
beforeAll(async () => {
  f = await fixture()
})
afterAll(() => f.database.drop())

let cursor = '0:0'
beforeEach(async () => {
  cursor = (await f.changes(cursor)).next
})
const ADS = purposeBit('ads')
const all = purposeBit('ads') | purposeBit('ads_ldu') | purposeBit('crm')
const news = async () => (await f.changes(cursor)).rows

describe('memberships', () => {
  test('a customer nobody has heard of enters: a row without anything usable', async () => {
    expect(await f.joins([['m_1', true]])).toMatchObject({ changed: 1, stale: 0 })
    expect(await news()).toEqual([[await f.numberOf('m_1'), 1, all, 0, '']])
  })

  test('a replay writes nothing, not even a row version', async () => {
    const versions = () => f.database.admin(`SELECT xmin, customer_no FROM behavior_export.membership ORDER BY 2`)
    const changes: [string, boolean][] = [
      ['m_2', true],
      ['m_3', true],
    ]
    await f.joins(changes)
    const before = await versions()
    expect(await f.joins(changes)).toMatchObject({ changed: 0, stale: 0 })
    expect(await versions()).toEqual(before)
  })

  test('what is older than stored is stale, in the same batch too; equal times: leaving wins', async () => {
    await f.joins([['m_4', true, T0 + 10]])
    expect(await f.joins([['m_4', false, T0 + 5]])).toMatchObject({ changed: 0, stale: 1 })
    expect(
      await f.joins([
        ['m_5', true, T0 + 10],
        ['m_5', false, T0 + 9],
      ]),
    ).toMatchObject({ changed: 1, stale: 1 })
    expect(await f.joins([['m_5', false, T0 + 10]])).toMatchObject({ changed: 1 })
    expect(await f.joins([['m_5', true, T0 + 10]])).toMatchObject({ changed: 0, stale: 1 })
  })

  test('a later event with the same state moves the time and tells nobody', async () => {
    await f.joins([['m_6', true, T0]])
    cursor = (await f.changes(cursor)).next
    expect(await f.joins([['m_6', true, T0 + 20]])).toMatchObject({ changed: 0, stale: 0 })
    expect(await news()).toEqual([])
    expect(await f.joins([['m_6', false, T0 + 10]])).toMatchObject({ changed: 0, stale: 1 })
  })

  test('leaving without ever having been there is kept against an older join, and tells nobody', async () => {
    expect(await f.joins([['m_7', false, T0 + 5]])).toMatchObject({ changed: 0, stale: 0 })
    expect(await f.joins([['m_7', true, T0]])).toMatchObject({ changed: 0, stale: 1 })
    expect(await news()).toEqual([])
  })

  test('one wake per behavior and transaction', async () => {
    const other = await f.behaviorOf('other')
    const before = (await f.events()).length
    await f.inTenant(async (tx) => {
      await f.members([
        ['w_1', true],
        ['w_2', true],
        ['w_3', true],
      ])(tx)
      await f.members([['w_1', true]], other.no)(tx)
    })
    expect((await f.events()).slice(before).map(({ topic }) => topic)).toEqual(['behavior.updated', 'behavior.updated'])
  })
})

describe('customers', () => {
  test('who arrives after their membership reaches the behavior', async () => {
    await f.joins([['p_1', true]])
    cursor = (await f.changes(cursor)).next
    expect(await f.stores([f.person('p_1')])).toMatchObject({ changed: 1 })
    const [row] = await news()
    expect(row?.slice(0, 4)).toEqual([await f.numberOf('p_1'), 1, all, groupBit('email') | groupBit('consent')])
    expect(Buffer.from(row?.[4] ?? '', 'base64')).toHaveLength(16)
  })

  test('a changed phone changes its own piece of the fingerprints; the same again tells nobody', async () => {
    await f.joins([['p_2', true]])
    const withPhone = (phone: string, at: number) => f.person('p_2', at, { identifiers: { email: 'p_2@example.com', phone } })
    await f.stores([withPhone('+14155550100', T0)])
    const [, , , , before] = (await news()).at(-1) ?? []
    cursor = (await f.changes(cursor)).next
    expect(await f.stores([withPhone('+14155550100', T0 + 1)])).toMatchObject({ changed: 0, stale: 0 })
    expect(await news()).toEqual([])
    await f.stores([withPhone('+14155550101', T0 + 2)])
    const [, , , , after] = (await news()).at(-1) ?? []
    const pieces = (text = '') =>
      [0, 8, 16].map((at) =>
        Buffer.from(text, 'base64')
          .subarray(at, at + 8)
          .toString('hex'),
      )
    expect(pieces(before).map((piece, index) => piece === pieces(after)[index])).toEqual([true, false, true])
  })

  test('what is older is stale; a line without consent leaves the consent alone', async () => {
    await f.stores([f.person('p_3', T0 + 10, { consent: DENIED })])
    expect(await f.stores([f.person('p_3', T0)])).toMatchObject({ changed: 0, stale: 1 })
    await f.stores([f.person('p_3', T0 + 20, { consent: undefined, identifiers: { email: 'new@example.com' } })])
    const [row] = await f.database.admin('SELECT purposes, ad_user_data FROM behavior_export.customer WHERE customer_id = $1', ['p_3'])
    expect(row).toEqual({ purposes: purposeBit('crm'), ad_user_data: 2 })
  })

  test('an unusable identifier is stored and told', async () => {
    const { unusable, changed } = await f.stores([f.person('p_4', T0, { identifiers: { email: 'nobody', phone: '+14155550100' } })])
    expect([...unusable]).toEqual([['p_4', [{ field: 'email', code: 'email_malformed' }]]])
    expect(changed).toBe(1)
    await f.joins([['p_4', true]])
    const { verdicts } = await f.fetch([await f.numberOf('p_4')])
    expect(verdicts).toMatchObject([
      { verdict: 'send', identifiers: { email: 'nobody', phone: '+14155550100' }, groups: groupBit('phone') | groupBit('consent') | UNREAD_BIT },
    ])
  })

  test('C13 a denial ends the purposes it names, is logged once, and wakes', async () => {
    await f.joins([['p_5', true]])
    await f.stores([f.person('p_5')])
    cursor = (await f.changes(cursor)).next
    const logged = () =>
      f.database.admin(
        `SELECT l.purposes, reason FROM behavior_export.suppression_log l JOIN behavior_export.customer c ON c.no = l.customer_no WHERE customer_id = 'p_5' ORDER BY seq`,
      )
    const deny = f.person('p_5', T0 + 1, { identifiers: undefined, consent: DENIED })
    await f.stores([deny])
    await f.stores([deny])
    expect(await logged()).toEqual([{ purposes: ADS | purposeBit('ads_ldu'), reason: 'consent_denied' }])
    expect((await news()).map((row) => row[2])).toEqual([purposeBit('crm')])
    expect((await f.events()).at(-1)?.topic).toBe('customer.suppressed')
    await f.stores([f.person('p_5', T0 + 2, { identifiers: undefined, consent: { ...GRANTED, saleShareOptOut: true } })])
    await f.stores([f.person('p_5', T0 + 3, { identifiers: undefined, consent: GRANTED })])
    await f.stores([f.person('p_5', T0 + 4, { identifiers: undefined, consent: { ...GRANTED, saleShareOptOut: true } })])
    await f.stores([f.person('p_5', T0 + 5, { identifiers: undefined, consent: { ...GRANTED, crm: 'denied', saleShareOptOut: true } })])
    expect((await logged()).slice(1)).toEqual([
      { purposes: ADS, reason: 'opted_out' },
      { purposes: purposeBit('crm'), reason: 'opted_out' },
    ])
  })

  test('at equal times the consent that takes away wins, in either order', async () => {
    for (const [id, first, second] of [
      ['eq_1', GRANTED, DENIED],
      ['eq_2', DENIED, GRANTED],
    ] as const) {
      await f.stores([f.person(id, T0, { consent: first })])
      await f.stores([f.person(id, T0, { consent: second })])
      const [row] = await f.database.admin('SELECT ad_user_data FROM behavior_export.customer WHERE customer_id = $1', [id])
      expect(row).toEqual({ ad_user_data: 2 })
    }
  })

  test('identifiers lie encrypted', async () => {
    await f.stores([f.person('p_6', T0, { identifiers: { email: 'canary@example.com', lastName: 'Canary' } })])
    const rows = await f.database.admin<{ all: string }>(
      `SELECT c::text AS all, encode(identifiers, 'escape') AS field FROM behavior_export.customer c WHERE customer_id = 'p_6'`,
    )
    expect(JSON.stringify(rows).toLowerCase()).not.toContain('canary')
  })

  test('other tenants see nothing of it', async () => {
    const other = await fixture({ database: f.database })
    expect((await other.fetch([await f.numberOf('p_1')])).verdicts).toMatchObject([{ verdict: 'not_member' }])
    expect((await other.changes('0:0', { behaviorNo: f.behavior.no })).rows).toEqual([])
  })
})
