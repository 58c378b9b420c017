/**
 * Who enters and leaves. Both doors come here, with 5 to 10 thousand changes a transaction; one statement locks the customers
 * in key order (SYNC.md C6), writes what is newer, and appends a feed row for each membership that really flipped.
 * A replay writes nothing. Last writer wins on `at`; at equal times leaving wins.
 */
import type { Tx } from '@audience-sync/db/database'
import { announceBehaviors } from '../announce.ts'
import type { Tenant } from '../tenants.ts'
import { addStubs } from './stubs.ts'

export interface MembershipInput {
  readonly behaviorNo: number
  readonly customerId: string
  readonly member: boolean
  /** Milliseconds since 1970. */
  readonly at: number
  /** Of the event that said so, if its id is a UUID. */
  readonly eventId: string | null
}

export interface MembershipOutcome {
  /** Memberships that flipped. */
  readonly changed: number
  /** Inputs older than what is stored, or than a later one among them. */
  readonly stale: number
  /** Customers that were erased; nothing of theirs was stored. */
  readonly erased: ReadonlySet<string>
}

interface Written {
  readonly missing: string[] | null
  readonly stale: number
  readonly flips: [behaviorNo: number, count: number][] | null
}

export async function ingestMemberships(tx: Tx, tenant: Tenant, inputs: readonly MembershipInput[]): Promise<MembershipOutcome> {
  const { newest, superseded } = newestOf(inputs)
  const first = await write(tx, tenant, newest)
  let erased: ReadonlySet<string> = new Set()
  const flips = new Map(first.flips)
  let stale = superseded + first.stale
  if (first.missing) {
    erased = await addStubs(tx, tenant, first.missing)
    const left = new Set(first.missing.filter((id) => !erased.has(id)))
    const second = await write(
      tx,
      tenant,
      newest.filter(({ customerId }) => left.has(customerId)),
    )
    for (const [no, count] of second.flips ?? []) flips.set(no, (flips.get(no) ?? 0) + count)
    stale += second.stale
  }
  await announceBehaviors(tx, tenant, flips)
  return { changed: [...flips.values()].reduce((sum, count) => sum + count, 0), stale, erased }
}

/** One change per behavior and customer: an upsert may not touch a row twice. */
function newestOf(inputs: readonly MembershipInput[]): { newest: MembershipInput[]; superseded: number } {
  const newest = new Map<string, MembershipInput>()
  let superseded = 0
  for (const input of inputs) {
    const key = `${input.behaviorNo} ${input.customerId}`
    const before = newest.get(key)
    if (!before || input.at > before.at || (input.at === before.at && before.member && !input.member)) newest.set(key, input)
    else if (input.at < before.at || input.member !== before.member) superseded += 1
  }
  return { newest: [...newest.values()], superseded }
}

async function write(tx: Tx, tenant: Tenant, inputs: readonly MembershipInput[]): Promise<Written> {
  if (inputs.length === 0) return { missing: null, stale: 0, flips: null }
  const { rows } = await tx.query<Written>(WRITE, [
    tenant.no,
    inputs.map((input) => input.behaviorNo),
    inputs.map((input) => input.customerId),
    inputs.map((input) => input.member),
    inputs.map((input) => input.at),
    inputs.map((input) => input.eventId),
  ])
  return rows[0] ?? { missing: null, stale: 0, flips: null }
}

/**
 * `LATERAL` with a lock or an OFFSET is a lookup by key for each row, in the order of `input`: the lock order that all writers
 * keep, and a plan that does not hang on statistics, of which there are none right after a large load.
 * `stale` is a figure for the caller: it looks at the memberships as they were when the statement began.
 */
const WRITE = `
WITH input AS MATERIALIZED (
  SELECT behavior_no, customer_id, member, 'epoch'::timestamptz + ms * interval '1 millisecond' AS occurred_at, event_id
  FROM unnest($2::int[], $3::text[], $4::bool[], $5::bigint[], $6::uuid[]) AS i(behavior_no, customer_id, member, ms, event_id) ORDER BY customer_id
), locked AS MATERIALIZED (
  SELECT c.no, i.*
  FROM input i, LATERAL (SELECT no FROM customer WHERE tenant_no = $1 AND customer_id = i.customer_id FOR NO KEY UPDATE) c
), written AS (
  INSERT INTO membership AS m (behavior_no, customer_no, tenant_no, member, occurred_at, event_id)
  SELECT behavior_no, no, $1, member, occurred_at, event_id FROM locked ORDER BY behavior_no, no
  ON CONFLICT (behavior_no, customer_no) DO UPDATE SET member = excluded.member, occurred_at = excluded.occurred_at, event_id = excluded.event_id
  WHERE (excluded.occurred_at, NOT excluded.member) > (m.occurred_at, NOT m.member)
  RETURNING m.behavior_no, m.customer_no, coalesce(old.member, false) <> new.member AS flipped
), logged AS (
  INSERT INTO change_log (behavior_no, tenant_no, customer_no) SELECT behavior_no, $1, customer_no FROM written WHERE flipped
  RETURNING behavior_no
)
SELECT
  (SELECT array_agg(DISTINCT i.customer_id) FROM input i WHERE NOT EXISTS (SELECT FROM locked l WHERE l.customer_id = i.customer_id)) AS missing,
  (SELECT count(*) FROM locked l, LATERAL (SELECT * FROM membership WHERE behavior_no = l.behavior_no AND customer_no = l.no OFFSET 0) m
    WHERE (SELECT count(*) FROM written) < (SELECT count(*) FROM locked) AND (l.occurred_at, NOT l.member) < (m.occurred_at, NOT m.member))::int AS stale,
  (SELECT json_agg(json_build_array(behavior_no, count)) FROM (SELECT behavior_no, count(*) FROM logged GROUP BY behavior_no) AS f) AS flips`
