/**
 * Two customers, one identifier (SYNC.md C2). What somebody may not be sent for, nobody else is sent for by an identifier that
 * both carry: whoever changes a customer changes what is withheld of those who share with them, and the feed tells of it, in one transaction.
 *
 * A gate per tenant keeps two transactions from each overlooking what the other is about to write. Whoever only brings people
 * that deny nothing, or changes nothing of what they deny, passes beside others; whoever changes what is denied passes alone. Then the
 * rows of those who share are locked together with the rest, in key order (C6); who they are is known only after a first look, so
 * that one is taken back.
 */
import { purposeBit, purposes } from '@audience-sync/contracts/people'
import type { Tx } from '@audience-sync/db/database'
import { NOTHING_WITHHELD, sameWithheld, type Withheld } from '../people/withheld.ts'
import type { Tenant } from '../tenants.ts'
import type { CustomerState } from './customer-rows.ts'

/** A customer as stored and as planned. */
export interface Change {
  readonly before: CustomerState
  readonly after: CustomerState
}

export interface Plan {
  readonly changes: readonly Change[]
  /** The others whose rows are locked. */
  readonly others: readonly CustomerState[]
}

const GATE = 7_310_003 // the first half of the advisory lock's key; the second is the tenant
export const ALL_PURPOSES = purposes.reduce((bits, purpose) => bits | purposeBit(purpose), 0)

/** Purpose bits that a customer denies, by tag. */
const deniedBy = ({ tags, purposes: allowed }: CustomerState): ReadonlyMap<string, number> =>
  allowed === ALL_PURPOSES ? NOTHING_WITHHELD : new Map(tags.map((tag) => [tag, ALL_PURPOSES & ~allowed]))

/** The tags of which somebody denies something else now, with the bits that changed. */
function denialsChanged(changes: readonly Change[]): Map<string, number> {
  const changed = new Map<string, number>()
  for (const { before, after } of changes) {
    const [old, now] = [deniedBy(before), deniedBy(after)]
    for (const tag of new Set([...old.keys(), ...now.keys()])) {
      const bits = (old.get(tag) ?? 0) ^ (now.get(tag) ?? 0)
      if (bits) changed.set(tag, (changed.get(tag) ?? 0) | bits)
    }
  }
  return changed
}

/**
 * `plan` locks the customers that it is about, together with those named, in key order, and says what is to change; it may be called
 * up to three times, and only what its last call did counts. The customers' tags and purposes are as of that call until the commit.
 * `denies`: a guess that somebody will deny something else, which saves a look when it is right.
 */
export async function withSharers<P extends Plan>(tx: Tx, tenant: Tenant, denies: boolean, plan: (sharers: readonly string[]) => Promise<P>): Promise<P> {
  await tx.query('SAVEPOINT gate')
  const settled = denies ? undefined : await planBeside(tx, tenant, plan)
  const last = settled ?? (await planAlone(tx, tenant, plan))
  await tx.query('RELEASE gate')
  return last
}

/** Undefined: it cannot be done beside others. */
async function planBeside<P extends Plan>(tx: Tx, tenant: Tenant, plan: (sharers: readonly string[]) => Promise<P>): Promise<P | undefined> {
  await tx.query('SELECT pg_advisory_xact_lock_shared($1, $2)', [GATE, tenant.no])
  const first = await plan([])
  if (denialsChanged(first.changes).size === 0) return first
  await tx.query('ROLLBACK TO gate')
  return undefined
}

async function planAlone<P extends Plan>(tx: Tx, tenant: Tenant, plan: (sharers: readonly string[]) => Promise<P>): Promise<P> {
  await tx.query('SELECT pg_advisory_xact_lock($1, $2)', [GATE, tenant.no])
  await tx.query('SAVEPOINT customer_rows')
  const first = await plan([])
  const sharers = await findSharers(tx, tenant, first.changes)
  if (sharers.length === 0) return first
  await tx.query('ROLLBACK TO customer_rows')
  return plan(sharers)
}

/** Writes the tags, and answers all that is to be stored: the planned changes and the sharers, with what is withheld of each. */
export async function shareOut(tx: Tx, tenant: Tenant, { changes, others }: Plan): Promise<CustomerState[]> {
  const changed = denialsChanged(changes)
  await writeTags(tx, tenant, changes)
  const masks = await readDenials(tx, tenant, [
    ...changes.flatMap(({ before, after }) => {
      const known = new Set(before.tags)
      return after.tags.filter((tag) => changed.has(tag) || !known.has(tag)).map((tag): Asked => [after.no, tag])
    }),
    ...(changed.size === 0 ? [] : others.flatMap(({ no, tags }) => tags.filter((tag) => changed.has(tag)).map((tag): Asked => [no, tag]))),
  ])
  const settled = (before: CustomerState, after: CustomerState): CustomerState => {
    const withheld = withheldOf(before, after, masks.get(after.no))
    return { ...after, withheld, feedChanged: after.feedChanged || !sameWithheld(before.withheld, withheld) }
  }
  const stored = changes.map(({ before, after }) => settled(before, after))
  return [...stored, ...others.map((other) => settled(other, other)).filter(({ feedChanged }) => feedChanged)]
}

type Asked = readonly [customerNo: number, tag: string]

/** What was asked anew, and what was known of the rest. */
function withheldOf(before: CustomerState, after: CustomerState, asked: Withheld | undefined): Withheld {
  if (!asked && before.withheld.size === 0) return NOTHING_WITHHELD
  return new Map(
    after.tags.flatMap((tag): [string, number][] => {
      const bits = asked?.get(tag) ?? before.withheld.get(tag) ?? 0
      return bits ? [[tag, bits]] : []
    }),
  )
}

/**
 * Each tag is looked up by an index, whatever the statistics say: from a phone that half of all customers share the planner learns
 * that a tag is common, and reads the table from its beginning for each of the other tags.
 */
async function byIndex<R extends object>(tx: Tx, sql: string, values: unknown[]): Promise<R[]> {
  await tx.query('SET LOCAL enable_seqscan = off')
  const { rows } = await tx.query<R>(sql, values)
  await tx.query('SET LOCAL enable_seqscan = on')
  return rows
}

const bytesOf = (tags: readonly string[]) => tags.map((tag) => Buffer.from(tag, 'hex'))

/**
 * Customer ids, beside those of the changes, of whom something else may be withheld then. Where two others deny a purpose already,
 * nothing changes for anybody; where one does, only for that one. So a thousand who share a phone are not read a thousand times.
 */
async function findSharers(tx: Tx, tenant: Tenant, changes: readonly Change[]): Promise<string[]> {
  const changed = denialsChanged(changes)
  if (changed.size === 0) return []
  const rows = await byIndex<{ customer_id: string }>(
    tx,
    `WITH asked AS MATERIALIZED (
       SELECT t.tag, t.bits FROM unnest($2::bytea[], $3::smallint[]) AS t(tag, bits),
         LATERAL (SELECT FROM identifier_tag WHERE tenant_no = $1 AND tag = t.tag AND customer_no <> ALL($4::bigint[]) LIMIT 1) AS shared
     ), denied AS MATERIALIZED (
       SELECT a.tag, count(d.customer_no) AS others, min(d.customer_no) AS one
       FROM asked a, unnest($5::smallint[]) AS bit LEFT JOIN LATERAL (
         SELECT customer_no FROM unnest($6::smallint[]) AS v(denies), LATERAL (
           SELECT customer_no FROM identifier_tag i WHERE tenant_no = $1 AND tag = a.tag AND i.denies = v.denies AND i.denies <> 0 AND customer_no <> ALL($4) LIMIT 2) AS of_these
         WHERE v.denies & bit <> 0 LIMIT 2) AS d ON true
       WHERE a.bits & bit <> 0 GROUP BY a.tag, bit
     )
     SELECT DISTINCT c.customer_id FROM denied d,
       LATERAL (SELECT customer_no FROM identifier_tag WHERE d.others = 0 AND tenant_no = $1 AND tag = d.tag AND customer_no <> ALL($4)
                UNION ALL SELECT d.one WHERE d.others = 1) AS s,
       LATERAL (SELECT customer_id FROM customer WHERE no = s.customer_no AND customer_id IS NOT NULL OFFSET 0) AS c`,
    [tenant.no, bytesOf([...changed.keys()]), [...changed.values()], changes.map(({ after }) => after.no), purposes.map(purposeBit), DENIALS],
  )
  return rows.map(({ customer_id }) => customer_id)
}

/** Every value of `denies` that is not zero: asked for one by one, each is a look at one place of the index. */
const DENIALS = Array.from({ length: ALL_PURPOSES }, (_, i) => i + 1)

/** What others deny, by customer and tag: 0 for nobody. */
async function readDenials(tx: Tx, tenant: Tenant, asked: readonly Asked[]): Promise<Map<number, Map<string, number>>> {
  const masks = new Map<number, Map<string, number>>()
  if (asked.length === 0) return masks
  const rows = await byIndex<{ at: number; bits: number }>(
    tx,
    `SELECT a.at::int, m.bits FROM unnest($2::bigint[], $3::bytea[]) WITH ORDINALITY AS a(no, tag, at),
       LATERAL (SELECT FROM identifier_tag WHERE tenant_no = $1 AND tag = a.tag AND denies <> 0 AND customer_no <> a.no LIMIT 1) AS someone,
       LATERAL (SELECT bit_or(v.denies) AS bits FROM unnest($4::smallint[]) AS v(denies), LATERAL (
         SELECT FROM identifier_tag i WHERE tenant_no = $1 AND tag = a.tag AND i.denies = v.denies AND i.denies <> 0 AND customer_no <> a.no LIMIT 1) AS one) AS m`,
    [tenant.no, asked.map(([no]) => no), bytesOf(asked.map(([, tag]) => tag)), DENIALS],
  )
  for (const [no, tag] of asked) masks.set(no, (masks.get(no) ?? new Map<string, number>()).set(tag, 0))
  for (const { at, bits } of rows) {
    const [no, tag] = asked[at - 1] as Asked
    masks.get(no)?.set(tag, bits)
  }
  return masks
}

/** The differences only: what has gone, who denies something else, and what is new. */
async function writeTags(tx: Tx, tenant: Tenant, changes: readonly Change[]): Promise<void> {
  const write = async (sql: string, rows: readonly TagRow[]) => {
    if (rows.length > 0) await byIndex(tx, sql, [tenant.no, rows.map(([no]) => no), bytesOf(rows.map(([, tag]) => tag)), rows.map(([, , denies]) => denies)])
  }
  const gone: TagRow[] = []
  const changed: TagRow[] = []
  const added: TagRow[] = []
  for (const { before, after } of changes) {
    const denies = ALL_PURPOSES & ~after.purposes
    const known = new Set(before.tags)
    const kept = new Set(after.tags)
    for (const tag of known) if (!kept.has(tag)) gone.push([after.no, tag, denies])
    for (const tag of kept) if (!known.has(tag)) added.push([after.no, tag, denies])
    if (before.purposes !== after.purposes) for (const tag of kept) if (known.has(tag)) changed.push([after.no, tag, denies])
  }
  await write(`DELETE FROM identifier_tag i USING ${TAG_ROWS} WHERE i.tenant_no = $1 AND i.tag = r.tag AND i.customer_no = r.no`, gone)
  await write(`UPDATE identifier_tag i SET denies = r.denies FROM ${TAG_ROWS} WHERE i.tenant_no = $1 AND i.tag = r.tag AND i.customer_no = r.no`, changed)
  await write(`INSERT INTO identifier_tag (tenant_no, customer_no, tag, denies) SELECT $1, no, tag, denies FROM ${TAG_ROWS}`, added)
}

type TagRow = readonly [customerNo: number, tag: string, denies: number]
const TAG_ROWS = 'unnest($2::bigint[], $3::bytea[], $4::smallint[]) AS r(no, tag, denies)'
