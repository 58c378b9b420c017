/**
 * Another normaliser comes into force, and goes again (pure/migration.ts), on three far sides; all of them delete every row that shares
 * a key which matches alone. Somebody looks at every call and every hour, and misses nobody.
 */
import type { Destination, Prepared } from '@audience-sync/destination-kit/contract'
import { withNormaliser } from '@audience-sync/destination-kit/normaliser'
import { afterEach, describe, expect, test } from '@jest/globals'
import { requestMigrations } from '../src/worker/migrate.ts'
import { reportNormaliser } from '../src/worker/normaliser-report.ts'
import { requestRepeats } from '../src/worker/repeat.ts'
import { answersSide } from './destinations/answers.ts'
import { metaSide } from './destinations/meta.ts'
import { settlesSide } from './destinations/settles.ts'
import type { Side } from './destinations/side.ts'
import { type SidedWorld, type WorldOptions, worldAround } from './world.ts'

const PLAIN = /\+[^@]*@/
const PHONE = '+14155550100'

/** Version 2 cuts the tag off an address, and takes none that begins with a number. */
function versioned(side: Side): Side {
  const { destination } = side
  const prepare: Destination['prepare'] = (person, config): Prepared => {
    const { email } = person.identifiers
    if (email !== undefined && /^\d/.test(email)) return { sets: [], dropped: [], rejected: 'no_usable_identifier' }
    return destination.prepare({ ...person, identifiers: { ...person.identifiers, ...(email && { email: email.replace(PLAIN, '@') }) } }, config)
  }
  return { ...side, destination: { ...destination, normalisers: [{ version: 2, prepare }] } }
}

const sides: Record<string, () => Promise<Side>> = {
  answers: async () => answersSide(),
  settles: async () => Object.assign(settlesSide(), { reversed: true }),
  async meta() {
    const side = await metaSide({ reorder: true, seed: 3 })
    // Its word is for the whole audience, not for a call: time enough that all of it is done.
    return Object.assign(side, { pass: () => side.twin.clock.advance(60_000) })
  },
}

const old = (no: number) => `p${no}+tag@example.com`
const plain = (no: number) => `p${no}@example.com`

describe.each(Object.keys(sides))('on %s', (name) => {
  let side: Side
  let world: SidedWorld
  /** Whoever was missing when somebody looked. */
  let missed: string[]
  afterEach(() => world.close())

  /** People 1 to `tagged` have a tag in their address; the others, up to `all`, have none. Everyone is there under version 1. */
  const start = async (tagged: number, all: number, options: WorldOptions = {}) => {
    side = versioned((await sides[name]?.()) as Side)
    world = await worldAround(side, { brake: { sharePercent: 1, minimum: 1 }, rowsPerCall: 2, ...options })
    for (let no = 1; no <= all; no += 1) world.behavior.join(no, { email: no <= tagged ? old(no) : plain(no), ...(no === 1 && { phone: PHONE }) })
    await world.sync()
    await calm()
    missed = []
    const look = async () => {
      const there = new Set(side.members())
      for (let no = 1; no <= all; no += 1) if (![old(no), plain(no)].some((email) => there.has(side.emailKey(email)))) missed.push(plain(no))
    }
    world.hooks.beforePush = look
    world.hooks.afterPush = look
    world.hooks.beforeTransaction = look
  }
  const inForce = (version: number) => Object.assign(world.engine, { destination: withNormaliser(world.engine.destination, version) })
  /** Until nothing is on its way, due or to be said again. */
  const calm = async () => {
    for (let round = 0; round < 20; round += 1) {
      await world.settle()
      await world.work()
      const repeats = await requestRepeats(world.engine)
      const [open] = await world.database.admin(
        `SELECT FROM sync.batch WHERE state = 'accepted' UNION ALL SELECT FROM sync.run WHERE status IN ('queued', 'running') LIMIT 1`,
      )
      // Nobody waits for a repetition to be applied: that takes the platform its time, too.
      if (!repeats && !open) return world.settle()
    }
    throw new Error('It never came to rest.')
  }
  const keys = (...emails: string[]) => emails.map((email) => side.emailKey(email)).sort()
  const runs = () => world.database.admin<{ no: number; mode: string; status: string }>(`SELECT no, mode, status FROM sync.run ORDER BY no`)
  const versions = async () =>
    (await world.database.admin<{ normaliser: number }>('SELECT DISTINCT normaliser FROM sync.ledger ORDER BY 1')).map((row) => row.normaliser)

  test('a new version makes a full run by itself: whoever changes is never missing, the others are not said', async () => {
    await start(4, 6)
    const before = side.uploads().length
    inForce(2)
    await requestMigrations(world.engine)
    await world.work()
    const run = (await runs()).at(1)
    expect(await world.run(run?.no ?? 0)).toMatchObject({ mode: 'full', counts: { planned: 4, replaced: 4, removed: 0, unchanged: 2 } })
    // Nothing goes before what takes its place is there.
    if (world.engine.destination.manifest.applies === 'settle')
      expect(
        new Set(
          side
            .uploads()
            .slice(before)
            .map(({ operation }) => operation),
        ),
      ).toEqual(new Set(['add']))
    await calm()
    expect(missed).toEqual([])
    expect(side.members()).toEqual(keys(...[1, 2, 3, 4, 5, 6].map(plain)))
    expect(await versions()).toEqual([2])
    expect(await world.database.admin('SELECT customer_no FROM sync.todo')).toEqual([])
    expect((await runs()).every(({ status }) => status === 'completed')).toBe(true)
    // Once said, it is over.
    const after = side.uploads().length
    await requestMigrations(world.engine)
    await world.sync('full')
    expect(side.uploads()).toHaveLength(after)
  })

  test('back to the older version, half-way: the same, and nothing of either is left over', async () => {
    await start(4, 4)
    inForce(2)
    await requestMigrations(world.engine)
    let calls = 0
    world.hooks.afterPush = async () => {
      calls += 1
      if (calls === 2) throw new Error('The worker dies.')
    }
    await world.work()
    expect((await runs()).at(1)?.status).toBe('failed')
    expect((await world.audience()).normaliser).toBeNull()
    delete world.hooks.afterPush
    inForce(1)
    await world.sync()
    await calm()
    expect(missed).toEqual([])
    expect(side.members()).toEqual(keys(...[1, 2, 3, 4].map(old)))
    expect(await versions()).toEqual([1])
    expect((await world.audience()).normaliser).toBe(1)
  })

  test('whoever leaves, changes or objects in the middle of it goes with everything that was said of them', async () => {
    await start(3, 4)
    inForce(2)
    await requestMigrations(world.engine)
    delete world.hooks.beforePush
    delete world.hooks.afterPush
    delete world.hooks.beforeTransaction
    await world.workOnce()
    world.behavior.leave(1)
    world.behavior.change(2, { identifiers: { email: 'new+tag@example.com' } })
    world.behavior.suppress(3, ['ads', 'ads_ldu', 'crm'])
    await world.suppressions()
    await world.database.admin(`UPDATE sync.audience SET brake = '{"sharePercent":100,"minimum":1000}'`)
    await world.sync()
    await calm()
    expect(side.members()).toEqual(keys('new@example.com', plain(4)))
  })

  test('whom the new version cannot use is a loss, and the brake counts it; what is only replaced it does not count', async () => {
    await start(4, 4)
    world.behavior.join(5, { email: '5@example.com' })
    await world.sync()
    await calm()
    inForce(2)
    await requestMigrations(world.engine)
    await world.work()
    expect((await runs()).at(-1)?.status).toBe('held')
    expect((await world.audience()).normaliser).toBeNull()
  })
})

test('in shadow: the figures of a report are what the migration then changes, and no call is made for it', async () => {
  const side = versioned(answersSide())
  const world = await worldAround(side, { brake: { sharePercent: 100, minimum: 1_000 } })
  try {
    // Of the last one nothing is left without its tag.
    const emails = ['a+1@example.com', 'b+2@example.com', 'c@example.com', '4@example.com', '+@example.com']
    emails.forEach((email, i) => {
      world.behavior.join(i + 1, { email })
    })
    world.behavior.join(6, { email: 'gone+1@example.com' })
    world.behavior.suppress(6, ['crm'])
    await world.sync()
    const uploads = side.uploads().length
    const ask = (atMost: number | null) =>
      world.database.admin(
        `INSERT INTO sync.normaliser_report (tenant_id, destination_no, audience_no, version, at_most) SELECT tenant_id, destination_no, no, 2, $1 FROM sync.audience`,
        [atMost],
      )
    const report = async () => {
      const stopping = new AbortController()
      expect(await reportNormaliser(world.engine, stopping.signal)).toBe(true)
      return (await world.database.admin('SELECT status, in_force, figures FROM sync.normaliser_report ORDER BY no DESC'))[0] as Record<string, unknown>
    }
    await ask(null)
    const full = await report()
    expect(full).toMatchObject({ status: 'done', in_force: 1, figures: { of: 5, checked: 5, changed: 2, becomeUnusable: 2, becomeUsable: 0 } })
    expect(side.uploads()).toHaveLength(uploads)
    expect(JSON.stringify(full)).not.toMatch(/example\.com|"c_/)
    await ask(2)
    expect(await report()).toMatchObject({ figures: { of: 5, checked: 2 } })

    Object.assign(world.engine, { destination: withNormaliser(world.engine.destination, 2) })
    await requestMigrations(world.engine)
    await world.work()
    const [run] = await world.database.admin<{ no: number }>(`SELECT no FROM sync.run WHERE mode = 'full' ORDER BY no DESC`)
    expect((await world.run(run?.no ?? 0)).counts).toMatchObject({ replaced: 2, removed: 2, added: 0 })
  } finally {
    await world.close()
  }
})
