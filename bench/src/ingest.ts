/**
 * From decoded messages to state and change log: what the service's consumer does with ten messages of a thousand changes,
 * against the bare statement that upserts the same rows by their numbers and writes the log from its own RETURNING.
 * Both write to behaviors of the same table under the service's role. Then the same messages again: nothing may be written.
 */

import { changesOf } from '@audience-sync/behavior-export/events/convert'
import { ingestMemberships, type MembershipInput } from '@audience-sync/behavior-export/ingest/memberships'
import { type MembershipChanged, MembershipChangedSchema } from '@audience-sync/contracts/events/gen/audience_sync/events/v1/ingest_pb'
import { seeded } from '@audience-sync/testing/random'
import { create } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import { type BenchDatabase, onCluster } from './cluster.ts'
import { perSecond, type Report } from './figures.ts'
import { choose, customerIdOf } from './people.ts'
import { inTurn, mustEqual, type Profile } from './rounds.ts'
import { makeTenant, START } from './tenant.ts'

const MESSAGES = 10 // of one transaction, as the consumer takes them
const CHANGES = 1_000 // of a message
const EVENT = '01981234-0000-7000-8000-000000000000'

/** Nothing but the two writes, for rows whose numbers and consent are known already. */
const BARE = `
  WITH written AS (
    INSERT INTO membership AS m (behavior_no, customer_no, tenant_no, member, occurred_at, event_id)
    SELECT $2, no, $1, member, $5, $6 FROM unnest($3::bigint[], $4::bool[]) AS i(no, member)
    ON CONFLICT (behavior_no, customer_no) DO UPDATE SET member = excluded.member, occurred_at = excluded.occurred_at, event_id = excluded.event_id
    WHERE (excluded.occurred_at, NOT excluded.member) > (m.occurred_at, NOT m.member)
    RETURNING m.customer_no, coalesce(old.member, false) <> new.member AS flipped)
  INSERT INTO change_log (behavior_no, tenant_no, customer_no) SELECT $2, $1, customer_no FROM written WHERE flipped`

const FINGERPRINTS = Buffer.alloc(24, 7) // three usable groups

interface Batch {
  readonly at: number
  readonly numbers: readonly number[]
  readonly members: readonly boolean[]
  readonly messages: readonly MembershipChanged[]
}

export const run = (profile: Profile): Promise<Report> =>
  onCluster(async (cluster) => {
    const customers = profile === 'full' ? 2_000_000 : 200_000
    const rounds = profile === 'full' ? 15 : 6
    const database = await cluster.database('ingest')
    const { db, tenantId, tenant, behavior } = await makeTenant(database)
    const [bare, ours] = [await behavior('bare'), await behavior('ours')]
    await generate(database, tenant.no, customers, [bare.no, ours.no])

    const random = seeded(1)
    // Half of each batch are members, and leave; half are not, and join; nobody comes twice: every one is a change.
    const half = (MESSAGES * CHANGES) / 2
    const leaving = choose(random, half * (rounds + 2), 1, customers / 2)
    const joining = choose(random, half * (rounds + 2), customers / 2 + 1, customers)
    const batchOf = (index: number): Batch => {
      const at = START + (index + 1) * 60_000
      const joined = joining.slice(index * half, (index + 1) * half)
      const numbers = leaving.slice(index * half, (index + 1) * half).flatMap((no, i) => [no, joined[i] ?? 0])
      const members = numbers.map((no) => no > customers / 2)
      const changes = numbers.map((no, i) => ({ customerId: customerIdOf(no), member: members[i] ?? false, occurredAt: timestampFromMs(at) }))
      const messages = Array.from({ length: MESSAGES }, (_, i) =>
        create(MembershipChangedSchema, { behavior: { case: 'behaviorKey', value: 'ours' }, changes: changes.slice(i * CHANGES, (i + 1) * CHANGES) }),
      )
      return { at, numbers, members, messages }
    }

    const writeBare = ({ at, numbers, members }: Batch) =>
      db.tenant(tenantId, (tx) => tx.query(BARE, [tenant.no, bare.no, numbers, members, new Date(at), EVENT]))
    const ingest = (batch: Batch) =>
      db.tenant(tenantId, (tx) => {
        const inputs: MembershipInput[] = batch.messages.flatMap((message) =>
          changesOf(message, batch.at).map((change) => ({ ...change, behaviorNo: ours.no, eventId: EVENT })),
        )
        return ingestMemberships(tx, tenant, inputs)
      })
    const check = () => sameState(database, bare.no, ours.no)

    const first = batchOf(0)
    await writeBare(first)
    mustEqual('changed', (await ingest(first)).changed, MESSAGES * CHANGES)
    mustEqual('changed by a replay', (await ingest(first)).changed, 0)
    await check()

    const batches = Array.from({ length: rounds + 1 }, (_, i) => batchOf(i + 1))
    const batch = (round: number) => batches[round + 1] as Batch // the warm-up is round -1
    const fresh = await inTurn(rounds, { bare: (round) => writeBare(batch(round)), ours: (round) => ingest(batch(round)) })
    await check()
    const before = await written(database)
    const replay = await inTurn(rounds, { ours: (round) => ingest(batch(round)) })
    mustEqual('rows written by the replays', await written(database), before)

    const events = MESSAGES * CHANGES
    return {
      name: 'ingest',
      title: 'membership events into state and change log, against the bare statement',
      conditions: { profile, customers, members: customers / 2, 'events a transaction': events, rounds, ...cluster.settings },
      figures: [
        {
          sides: [
            perSecond('decoded messages through ingest', events, fresh.ours, 'k events/s'),
            perSecond('the bare statement', events, fresh.bare, 'k events/s'),
          ],
          ratio: { what: 'speed against the bare statement', value: fresh.bare.median / fresh.ours.median },
          goal: { no: 8, is: 'at least', base: 0.8, stretch: 0.95 },
        },
        {
          sides: [perSecond('the same messages again, 0 rows written', events, replay.ours, 'k events/s')],
          ratio: { what: 'speed against fresh ones', value: fresh.ours.median / replay.ours.median },
          goal: { no: 9, is: 'at least', base: 3, stretch: 4 },
        },
      ],
    }
  })

/** Customers 1 to `customers`; the first half are members of both behaviors. */
async function generate(database: BenchDatabase, tenantNo: number, customers: number, behaviors: readonly number[]): Promise<void> {
  await database.admin(
    `INSERT INTO behavior_export.customer (no, tenant_no, customer_id, purposes, groups, fingerprints)
     SELECT n, $1, 'c_' || lpad(n::text, 12, '0'), 7, 515, $3 FROM generate_series(1, $2::int) AS n`,
    [tenantNo, customers, FINGERPRINTS],
  )
  for (const no of behaviors)
    await database.admin(
      `INSERT INTO behavior_export.membership (behavior_no, customer_no, tenant_no, member, occurred_at)
       SELECT $1, n, $2, true, $4::timestamptz FROM generate_series(1, $3::int) AS n`,
      [no, tenantNo, customers / 2, new Date(START)],
    )
  await database.admin('VACUUM ANALYZE behavior_export.customer, behavior_export.membership')
}

async function sameState(database: BenchDatabase, a: number, b: number): Promise<void> {
  const of = (table: string, columns: string) => (no: number) => `SELECT ${columns} FROM behavior_export.${table} WHERE behavior_no = ${no}`
  const state = of('membership', 'customer_no, member, occurred_at, event_id')
  const log = of('change_log', 'customer_no')
  for (const rows of [state, log])
    mustEqual('rows that differ', await database.admin(`(${rows(a)} EXCEPT ALL ${rows(b)}) UNION ALL (${rows(b)} EXCEPT ALL ${rows(a)}) LIMIT 3`), [])
}

/** Row versions, by the only count that cannot be fooled: where the newest of each table stands. */
async function written(database: BenchDatabase): Promise<unknown> {
  return database.admin(
    `SELECT (SELECT max(xmin::text::bigint) FROM behavior_export.membership)::text AS membership, (SELECT count(*) FROM behavior_export.change_log)::text AS log,
       (SELECT count(*) FROM behavior_export.outbox)::text AS outbox`,
  )
}
