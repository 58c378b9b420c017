import { readPosition } from '@audience-sync/contracts/internal/position'
import { purposeBit } from '@audience-sync/contracts/people'
import type { Tx } from '@audience-sync/db/database'
import { until } from '@audience-sync/testing/until'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { changesPage, membersPage } from '../src/feed/pages.ts'
import { suppressionsPage } from '../src/feed/suppressions.ts'
import { eraseCustomer } from '../src/ingest/erase.ts'
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

/** A transaction that did something and has not committed. */
async function open(work: (tx: Tx) => Promise<unknown>) {
  let finish = () => {}
  const gate = new Promise<void>((resolve) => {
    finish = resolve
  })
  let also = async (_work: (tx: Tx) => Promise<unknown>): Promise<unknown> => undefined
  let worked = () => {}
  const ready = new Promise<void>((resolve) => {
    worked = resolve
  })
  const done = f.inTenant(async (tx) => {
    await work(tx)
    also = (more) => more(tx)
    worked()
    await gate
  })
  await Promise.race([ready, done])
  return {
    /** In the same transaction. */
    also: (more: (tx: Tx) => Promise<unknown>) => also(more),
    commit: () => {
      finish()
      return done
    },
  }
}

/** Whether somebody waits for a lock. */
const waits = async () => {
  const rows = await f.database.admin(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
  return rows.length > 0
}

const customersOf = (page: { rows: (readonly unknown[])[] }) => page.rows.map(([no]) => no)

describe('changes', () => {
  test('come in pages, each customer once a page with what is newest', async () => {
    await f.joins([
      ['f_1', true],
      ['f_2', true],
      ['f_3', true],
    ])
    await f.joins([['f_1', false, T0 + 1]])
    const [one, two, three] = await Promise.all(['f_1', 'f_2', 'f_3'].map(f.numberOf))
    const whole = await f.changes(cursor)
    expect(whole.rows.map(([no, member]) => [no, member])).toEqual([
      [two, 1],
      [three, 1],
      [one, 0],
    ])
    expect([whole.done, whole.count]).toEqual([true, 3])
    const first = await f.changes(cursor, { limit: 2 })
    expect([customersOf(first), first.done, first.count]).toEqual([[one, two], false, 2])
    const second = await f.changes(first.next, { limit: 3 })
    expect([customersOf(second), second.done]).toEqual([[three, one], true])
  })

  test('a reader of a quiet behavior moves on, never backwards', async () => {
    const later = (await f.changes(cursor)).next
    expect(BigInt(later.split(':')[0] ?? 0)).toBeGreaterThanOrEqual(BigInt(cursor.split(':')[0] ?? 0))
    expect((await f.changes(later, { below: '1' })).next).toBe(later)
  })

  test('a page is read in index order and costs what it holds, whatever the planner knows', async () => {
    await f.database.admin(`INSERT INTO behavior_export.change_log (behavior_no, tenant_no, customer_no) SELECT 4711, $1, n FROM generate_series(1, 20000) n`, [
      f.tenant.no,
    ])
    await f.database.admin(
      `INSERT INTO behavior_export.membership (behavior_no, tenant_no, customer_no, member, occurred_at)
      SELECT 4711, $1, n, true, now() FROM generate_series(1, 20000) n`,
      [f.tenant.no],
    )
    const plans: string[] = []
    await f.inTenant(async (tx) => {
      // Every statement that these two run is explained as well.
      const explained = new Proxy(tx, {
        get: (target, name) =>
          name === 'query'
            ? async (sql: string, values?: unknown[]) => {
                if (values)
                  plans.push(
                    (await target.query(`EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF, BUFFERS OFF) ${sql}`, values)).rows
                      .map((row) => row['QUERY PLAN'])
                      .join('\n'),
                  )
                return target.query(sql, values)
              }
            : Reflect.get(target, name),
      })
      await changesPage(explained, 4711, { after: readPosition('0:0'), below: undefined, limit: 10 })
      await membersPage(explained, 4711, 0, 10)
    })
    expect(plans).toHaveLength(2)
    for (const plan of plans) {
      const rows = [...plan.matchAll(/(?:change_log|membership)\S* .*\(actual rows=(\d+)/g)].map(([, count]) => Number(count))
      expect(rows.length).toBeGreaterThan(0)
      expect(Math.max(...rows)).toBeLessThanOrEqual(11)
    }
  })
})

describe('R2 order of change', () => {
  test('a transaction that took its numbers first and commits last is not lost, and nobody overtakes it', async () => {
    const slow = await open(f.members([['r_slow', true]]))
    await f.joins([['r_quick', true]])
    const during = await f.changesNow(cursor)
    expect(customersOf(during)).toEqual([]) // the quick one is committed, and above the horizon
    await slow.commit()
    const [first, second] = await Promise.all(['r_slow', 'r_quick'].map(f.numberOf))
    expect(customersOf(await f.changes(during.next))).toEqual([first, second])
  })

  test('who began first and wrote last has the last word, on whatever pages the two changes come', async () => {
    await f.joins([['w_first', true]])
    await f.joins([['w_person', true]])
    cursor = (await f.changes(cursor)).next
    const slow = await open(async (tx) => {
      await f.members([['w_first', false, T0 + 1]])(tx) // has its number now
      await f.members([['w_slow', true]])(tx)
    })
    await f.joins([['w_person', false, T0 + 1]]) // a later number
    await slow.also(f.members([['w_person', true, T0 + 2]])) // the earlier number, and the last word
    await slow.commit()
    const person = await f.numberOf('w_person')
    const told: [number, number][] = []
    for (let after = cursor, done = false; !done; ) {
      const page = await f.changes(after, { limit: 1 })
      told.push(...page.rows.map(([no, member]): [number, number] => [no, member]))
      after = page.next
      done = page.done
    }
    expect(told.filter(([no]) => no === person)).toEqual([
      [person, 1],
      [person, 1],
    ])
  })

  test('C5 a reader knows which bound it must wait for to see its cause', async () => {
    const slow = await open(f.members([['c5_slow', true]]))
    await f.joins([['c5', true]])
    const target = (await f.horizon()).xmax
    const early = await f.changesNow(cursor, { below: target })
    expect([early.done, early.count]).toEqual([false, 0])
    await slow.commit()
    const late = await f.changes(early.next, { below: target })
    expect(late.done).toBe(true)
    expect(customersOf(late)).toContain(await f.numberOf('c5'))
    await f.joins([['c5_after', true]])
    expect((await f.changes(cursor, { below: target })).count).toBe(2)
  })
})

describe('C6 write skew', () => {
  test('consent first: the membership waits and carries the new consent', async () => {
    await f.stores([f.person('skew_1', T0, { consent: DENIED })])
    const grant = await open(f.people([f.person('skew_1', T0 + 1, { identifiers: undefined, consent: GRANTED })]))
    const join = f.joins([['skew_1', true]])
    await until('the membership to wait for the customer', waits)
    await grant.commit()
    await join
    expect((await f.changes(cursor)).rows.map((row) => row[2])).toEqual([7])
  })

  test('membership first: the consent waits and tells of the membership', async () => {
    await f.stores([f.person('skew_2', T0, { consent: DENIED })])
    const join = await open(f.members([['skew_2', true]]))
    const grant = f.stores([f.person('skew_2', T0 + 1, { identifiers: undefined, consent: GRANTED })])
    await until('the consent to wait for the customer', waits)
    await join.commit()
    await grant
    expect((await f.changes(cursor)).rows.map((row) => row[2])).toEqual([7])
  })

  test('a customer whom neither knew: one waits for the stub of the other', async () => {
    const join = await open(f.members([['skew_3', true]]))
    const arrive = f.stores([f.person('skew_3')])
    await until('the customer to wait for the stub', waits)
    await join.commit()
    await arrive
    const page = await f.changes(cursor)
    expect(page.rows.map(([no, , , groups]) => [no, groups !== 0])).toEqual([[await f.numberOf('skew_3'), true]])
  })

  test('writers of the same customers in any order end, without a lost change', async () => {
    const ids = Array.from({ length: 40 }, (_, n) => `many_${n}`)
    const work = Array.from({ length: 12 }, (_, round) => {
      const order = round % 2 ? ids : ids.toReversed()
      return round % 3 ? f.joins(order.map((id) => [id, true, T0 + round])) : f.stores(order.map((id) => f.person(id, T0 + round, { value: round })))
    })
    await Promise.all(work)
    const page = await f.changes(cursor)
    expect(new Set(customersOf(page)).size).toBe(40)
    const groups = new Set(page.rows.map((row) => row[3]))
    expect(groups.size).toBe(1)
    const members = (await f.membersPage()).rows
    for (const row of page.rows) expect(members).toContainEqual(row)
  })
})

test('an erasure that is under way when somebody is brought back wins', async () => {
  await f.joins([['gone', true]])
  const erase = await open((tx) => eraseCustomer(tx, f.tenant, 'gone', new Date(T0)))
  const back = Promise.all([f.joins([['gone', true, T0 + 1]]), f.stores([f.person('gone', T0 + 1)])])
  await until('somebody to wait for the erasure', waits)
  await erase.commit()
  for (const { erased, changed } of await back) expect([[...erased], changed]).toEqual([['gone'], 0])
  expect(await f.numberOf('gone')).toBe(0)
})

describe('C7 whole answers', () => {
  test('a fetch gives one verdict per id asked for, in the order asked', async () => {
    await f.joins([
      ['v_send', true],
      ['v_denied', true],
      ['v_left', true],
    ])
    await f.joins([['v_left', false, T0 + 1]])
    await f.stores([f.person('v_send', T0, { value: 12.5 }), f.person('v_denied', T0, { consent: DENIED }), f.person('v_left'), f.person('v_never')])
    const [send, denied, left, never] = (await Promise.all(['v_send', 'v_denied', 'v_left', 'v_never'].map(f.numberOf))) as [number, number, number, number]
    const answer = await f.fetch([never, denied, 999_999_999, send, left])
    expect(answer.count).toBe(5)
    expect(answer.verdicts).toEqual([
      { verdict: 'not_member', no: never },
      { verdict: 'suppressed', no: denied, reason: 'consent_denied' },
      { verdict: 'not_member', no: 999_999_999 },
      expect.objectContaining({
        verdict: 'send',
        no: send,
        customerId: 'v_send',
        identifiers: { email: 'v_send@example.com' },
        consent: GRANTED,
        value: 12.5,
        limitedDataUse: false,
      }),
      { verdict: 'not_member', no: left },
    ])
    const fed = (await f.changes(cursor)).rows.find(([no]) => no === send)
    expect(answer.verdicts[3]).toMatchObject({ groups: fed?.[3], fingerprints: fed?.[4] })
  })

  test('members come in order of their number, with where to read on', async () => {
    const { start } = await f.membersPage()
    await f.joins([['v_late', true]])
    const numbers: number[] = []
    for (let after = 0, done = false; !done; ) {
      const page = await f.membersPage(after, 7)
      expect(page.count).toBe(page.rows.length)
      numbers.push(...page.rows.map(([no]) => no))
      after = page.nextCustomer
      done = page.done
    }
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
    expect(new Set(numbers).size).toBe(numbers.length)
    expect(customersOf(await f.changes(start))).toContain(await f.numberOf('v_late'))
  })
})

describe('C13 purposes', () => {
  test('an opt-out of sale keeps limited data use and the CRM', async () => {
    await f.joins([['ldu', true]])
    await f.stores([f.person('ldu', T0, { consent: { ...GRANTED, saleShareOptOut: true } })])
    const no = await f.numberOf('ldu')
    expect((await f.fetch([no], 'ads')).verdicts).toEqual([{ verdict: 'suppressed', no, reason: 'opted_out' }])
    expect((await f.fetch([no], 'ads_ldu')).verdicts).toMatchObject([{ verdict: 'send', limitedDataUse: true }])
    expect((await f.fetch([no], 'crm')).verdicts).toMatchObject([{ verdict: 'send', limitedDataUse: false }])
  })
})

test('the fetch goes by the default country of now, before everybody was looked at again', async () => {
  const other = await fixture({ database: f.database, defaultCountry: 'US' })
  await other.joins([['silent', true]])
  await other.stores([other.person('silent', T0, { consent: undefined })])
  const no = (await other.membersPage()).rows[0]?.[0] ?? 0
  expect((await other.fetch([no])).verdicts).toMatchObject([{ verdict: 'send' }])
  await f.database.admin(`UPDATE behavior_export.tenant SET default_country = 'DE' WHERE id = $1`, [other.tenant.id])
  expect((await other.fetch([no])).verdicts).toEqual([{ verdict: 'suppressed', no, reason: 'consent_denied' }])
})

describe('C10 suppressions', () => {
  const log = async (after: string, limit = 10_000) => {
    await f.changes()
    return f.db.tx((tx) => suppressionsPage(tx, readPosition(after), limit))
  }

  test('a fetch before the opt-out stands at an earlier position than its tombstone, one after it does not', async () => {
    await f.joins([['opt', true]])
    await f.stores([f.person('opt')])
    const no = await f.numberOf('opt')
    const before = (await f.fetch([no])).suppressionsAt
    const { next } = await log('0:0')
    await f.stores([f.person('opt', T0 + 1, { identifiers: undefined, consent: DENIED })])
    const page = await log(next)
    expect(page.rows).toEqual([
      { tenantId: f.tenant.id, customerNo: no, purposes: purposeBit('ads') | purposeBit('ads_ldu'), reason: 'consent_denied', at: expect.any(String) },
    ])
    const xid = (position = '') => BigInt(position.split(':')[0] ?? 0)
    expect(xid(page.rows[0]?.at)).toBeGreaterThanOrEqual(xid(before))
    await f.stores([f.person('opt', T0 + 2, { identifiers: undefined, consent: GRANTED })])
    expect(xid((await f.fetch([no])).suppressionsAt)).toBeGreaterThan(xid(page.rows[0]?.at))
  })

  test('all tenants are read in one order, and only there', async () => {
    const other = await fixture({ database: f.database })
    const { next } = await log('0:0')
    for (const one of [f, other]) {
      await one.stores([one.person('both')])
      await one.stores([one.person('both', T0 + 1, { consent: DENIED })])
    }
    expect((await log(next)).rows.map(({ tenantId }) => tenantId)).toEqual([f.tenant.id, other.tenant.id])
    const first = await log(next, 1)
    expect([first.done, (await log(first.next)).rows.length]).toEqual([false, 1])
    const { rows } = await f.inTenant((tx) => tx.query(`SELECT DISTINCT tenant_id FROM suppression_log`))
    expect(rows).toEqual([{ tenant_id: f.tenant.id }])
  })
})

describe('C8 lost history', () => {
  test('a dropped day is told by the oldest position, from the same snapshot', async () => {
    await f.joins([['old', true]])
    const old = (await f.changes(cursor)).next
    const [{ day } = { day: '' }] = await f.database.admin<{ day: string }>(`SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD') AS day`)
    // The log of today becomes that of a day long gone.
    await f.database.admin(`ALTER TABLE behavior_export.change_log DETACH PARTITION behavior_export.change_log_${day}`)
    await f.database.admin(`UPDATE behavior_export.change_log_${day} SET at = '2020-01-01T12:00:00Z'`)
    await f.database.admin(`ALTER TABLE behavior_export.change_log_${day} RENAME TO change_log_20200101`)
    await f.database.admin(
      `ALTER TABLE behavior_export.change_log ATTACH PARTITION behavior_export.change_log_20200101 FOR VALUES FROM ('2020-01-01T00:00:00Z') TO ('2020-01-02T00:00:00Z')`,
    )
    await f.db.tx((tx) => tx.query(`SELECT maintain_change_log('30 days', 7)`))
    const page = await f.changes(cursor)
    expect(page.rows).toEqual([])
    const isBefore = ([xid = '', seq = '']: string[], [otherXid = '', otherSeq = '']: string[]) =>
      BigInt(xid) < BigInt(otherXid) || (xid === otherXid && BigInt(seq) < BigInt(otherSeq))
    const oldest = page.horizon.oldest.split(':')
    expect(isBefore(cursor.split(':'), oldest)).toBe(true) // the reader that stood here has lost something
    expect(isBefore(old.split(':'), oldest)).toBe(false) // and the one that had read it has not
    await f.joins([['new', true]])
    expect(customersOf(await f.changes(old))).toEqual([await f.numberOf('new')])
  })

  test('in another database the epoch is another one, numbers move ahead, and suppressions are read again', async () => {
    const before = await f.horizon()
    const highest = await f.numberOf('new')
    await f.database.admin(`UPDATE behavior_export.feed_epoch SET cluster = 'where the dump was made'`)
    const pages = await Promise.all([f.changes(cursor), f.horizon(), f.membersPage()])
    const epochs = new Set(pages.map((page) => ('horizon' in page ? page.horizon.epoch : page.epoch)))
    expect(epochs.size).toBe(1)
    expect(epochs).not.toContain(before.epoch)
    await f.joins([['after', true]])
    expect(await f.numberOf('after')).toBeGreaterThan(highest + 1_000_000)
    const suppressed = await f.db.tx((tx) => suppressionsPage(tx, readPosition(`${before.xmax}:0`), 10_000))
    expect(suppressed.rows.length).toBeGreaterThan(2)
    expect(suppressed.horizon.oldest).toBe('0:0')
  })

  test('a page never mixes an old epoch with new rows', async () => {
    const text = await f.inTenant((tx) => changesPage(tx, f.behavior.no, { after: readPosition('0:0'), below: undefined, limit: 10 }))
    expect(JSON.parse(text)).toMatchObject({ horizon: { epoch: (await f.horizon()).epoch } })
  })
})
