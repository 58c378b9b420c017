/**
 * Planning, by the real way: changes are read from behavior-export's feed over HTTP, looked up in the ledger and decided about
 * (`countPlan`), once among few members and once among ten times as many. And ten times the changes, among the many.
 * Nothing is sent; the plan has to be exactly what the changes were made to be.
 */

import type { Destination } from '@audience-sync/destination-kit/contract'
import { createMetaDestination } from '@audience-sync/destination-meta/destination'
import { fingerprintOf } from '@audience-sync/sync-engine/pure/diff'
import { readAudience, readRun } from '@audience-sync/sync-engine/store/rows'
import { type Job, openJob } from '@audience-sync/sync-engine/worker/job'
import { claim } from '@audience-sync/sync-engine/worker/lease'
import { countPlan, type Plan } from '@audience-sync/sync-engine/worker/plan'
import { pagesOf } from '@audience-sync/sync-engine/worker/source'
import { seeded } from '@audience-sync/testing/random'
import { type BenchDatabase, type Cluster, onCluster } from './cluster.ts'
import { makeAudience, makeEngine, queueRun } from './engine.ts'
import { milliseconds, type Report } from './figures.ts'
import { choose } from './people.ts'
import { makeTrust, startBehaviorExport, type Trust } from './process.ts'
import { inTurn, mustEqual, type Profile } from './rounds.ts'
import { makeTenant, START } from './tenant.ts'

const CHANGES = 10_000
const FACTOR = 10
const GROUPS = 515 // e-mail, phone, consent
const FINGERPRINTS = Buffer.alloc(24, 7)
const grant = {
  connectionId: 'con_1',
  accountId: 'acc_1',
  accountExternalId: '1',
  accessToken: 'never used',
  expiresAt: null,
  version: 1,
  tier: null,
  businessId: null,
}

export const run = (profile: Profile): Promise<Report> =>
  onCluster(async (cluster) => {
    const few = profile === 'full' ? 100_000 : 20_000
    const rounds = profile === 'full' ? 15 : 7
    const trust = await makeTrust()
    const small = await makeWorld(cluster, trust, 'few', few)
    const large = await makeWorld(cluster, trust, 'many', few * FACTOR)
    try {
      const among = { few: await small.change(CHANGES), many: await large.change(CHANGES) }
      const slope = few * FACTOR >= CHANGES * FACTOR * 2 ? await large.change(CHANGES * FACTOR) : undefined
      for (const [plan, expected] of [among.few, among.many, ...(slope ? [slope] : [])]) mustEqual('the plan', figuresOf(await plan()), expected)
      const times = await inTurn(rounds, { few: among.few[0], many: among.many[0] }, 2)
      const bySize = slope && (await inTurn(profile === 'full' ? 7 : 3, { ten: among.many[0], hundred: slope[0] }, 1))
      const reconcile = await inTurn(1, { full: () => large.reconcile() }, 0)
      return {
        name: 'plan',
        title: `planning ${CHANGES.toLocaleString('en-US')} changes, by HTTP from the change feed and against the ledger`,
        conditions: {
          profile,
          'members, few': few,
          'members, many': few * FACTOR,
          changes: '30 % join, 60 % leave, 10 % other identifiers',
          rounds,
          ...cluster.settings,
        },
        figures: [
          {
            sides: [milliseconds(`among ${few * FACTOR} members`, times.many), milliseconds(`among ${few} members`, times.few)],
            ratio: { what: `time among ${FACTOR} times the members`, value: times.many.median / times.few.median },
            goal: { no: 5, is: 'at most', base: 1.5, stretch: 1.15 },
          },
          ...(bySize
            ? [
                {
                  sides: [milliseconds(`${CHANGES * FACTOR} changes among many`, bySize.hundred), milliseconds(`${CHANGES} changes among many`, bySize.ten)],
                  ratio: { what: `time for ${FACTOR} times the changes`, value: bySize.hundred.median / bySize.ten.median },
                  goal: { no: 6, is: 'at most', base: 13, stretch: 11 } as const,
                },
              ]
            : []),
          {
            sides: [milliseconds(`full reconcile of ${few * FACTOR} members, our own`, reconcile.full)],
            ratio: { what: 'times the incremental plan', value: reconcile.full.median / times.many.median },
          },
        ],
      }
    } finally {
      await Promise.all([small.stop(), large.stop()])
    }
  })

type Figures = Pick<Plan, 'add' | 'replace' | 'remove' | 'privacy'>
const figuresOf = ({ add, replace, remove, privacy }: Plan): Figures => ({ add, replace, remove, privacy })

/** `members` people in a behavior, all of them in the ledger; another tenth are customers and no members. */
async function makeWorld(cluster: Cluster, trust: Trust, name: string, members: number) {
  const database = await cluster.database(name)
  const here = await makeTenant(database)
  const behavior = await here.behavior('recent')
  const outside = Math.max(members / 10, CHANGES * FACTOR)
  const behaviorExport = await startBehaviorExport(trust, database.url('behavior_export'), here.kek)
  const destination = createMetaDestination({ baseUrl: 'http://127.0.0.1:9' }) as Destination
  const engine = await makeEngine({ database, behaviorExportUrl: behaviorExport.url, trust, destination, grant })
  const audiences = database.as('audiences')
  const audience = await makeAudience(audiences, {
    tenantId: here.tenantId,
    behaviorId: behavior.id,
    accountExternalId: '1',
    identifiers: ['email', 'phone'],
    destinationNo: engine.destinationNo,
  })
  const runNo = await queueRun(audiences, audience)
  const stopping = new AbortController()
  const lease = await claim(engine, stopping.signal)
  if (!lease) throw new Error('Nothing was to be claimed.')
  const { row, run } = await engine.db.tenant(here.tenantId, async (tx) => ({ row: await readAudience(tx, audience.no), run: await readRun(tx, runNo) }))
  const job = openJob(engine, lease, row, new Map())
  await generate(database, { job, tenantNo: here.tenant.no, behaviorNo: behavior.no, members, customers: members + outside })

  const feed = engine.feed(here.tenantId, behavior.id)
  const random = seeded(members)
  const changed = new Set<number>()
  const fresh = (count: number, from: number, to: number) => {
    const numbers = choose(random, count, from, to, changed)
    for (const no of numbers) changed.add(no)
    return numbers
  }
  const planOf = (mode: 'incremental' | 'full', cursor: string, below: string) => {
    const at: Job = { ...job, audience: { ...row, cursor } }
    return () => countPlan(at, pagesOf(at, feed, run, { mode, below, epoch: '', behind: false }))
  }
  let at = START
  return {
    /** Makes changes, and answers how to plan exactly these, with what must come out. */
    async change(count: number): Promise<[() => Promise<Plan>, Figures]> {
      const { xmax: before } = await feed.horizon()
      const expected = { add: count * 0.3, replace: count * 0.1, remove: count * 0.6, privacy: 0 }
      at += 60_000
      await here.members(behavior.no, fresh(expected.add, members + 1, members + outside), true, at)
      await here.members(behavior.no, fresh(expected.remove, 1, members), false, at)
      await here.people(fresh(expected.replace, 1, members), at)
      const { xmax } = await feed.horizon()
      return [planOf('incremental', `${before}:0`, xmax), expected]
    },
    reconcile: planOf('full', '0:0', '0'),
    async stop() {
      stopping.abort()
      await lease.release()
      await engine.close()
      await behaviorExport.stop()
    },
  }
}

interface Generated {
  readonly job: Job
  readonly tenantNo: number
  readonly behaviorNo: number
  readonly members: number
  readonly customers: number
}

async function generate(database: BenchDatabase, { job, tenantNo, behaviorNo, members, customers }: Generated): Promise<void> {
  await database.admin(
    `INSERT INTO behavior_export.customer (no, tenant_no, customer_id, purposes, groups, fingerprints)
     SELECT n, $1, 'c_' || lpad(n::text, 12, '0'), 7, $3, $4 FROM generate_series(1, $2::int) AS n`,
    [tenantNo, customers, GROUPS, FINGERPRINTS],
  )
  await database.admin(
    `INSERT INTO behavior_export.membership (behavior_no, customer_no, tenant_no, member, occurred_at)
     SELECT $1, n, $2, true, $4::timestamptz FROM generate_series(1, $3::int) AS n`,
    [behaviorNo, tenantNo, members, new Date(START)],
  )
  const { scope, versions, choice } = job
  const fingerprint = fingerprintOf(GROUPS, FINGERPRINTS.toString('base64'), choice.watched)
  await database.admin(
    `INSERT INTO sync.ledger (customer_no, fingerprint, add_batch, audience_no, tenant_no, config_version, destination_no, generation, normaliser, held)
     SELECT n, $2, 1, $3, $4, $5, $6, $7, $8, $9 FROM generate_series(1, $1::int) AS n`,
    [
      members,
      fingerprint,
      scope.audienceNo,
      scope.tenantNo,
      versions.configVersion,
      scope.destinationNo,
      scope.generation,
      versions.normaliser,
      Buffer.alloc(110, 1), // as long as two digests sealed
    ],
  )
  await database.admin('VACUUM ANALYZE behavior_export.customer, behavior_export.membership, sync.ledger')
}
