/**
 * Removals for privacy by one call for all audiences of an account (R7, SYNC.md C21). The audience that comes first makes the call, for
 * everything that any audience of the account holds of its people; it is a batch of that audience, with the intent stored before and the
 * same bytes again after a crash. For the others of the account it is noted who was taken along, and how the ledger had them: each, under its
 * own lease, finds its people unchanged since, and records the same receipt as a batch of its own, without another call. Each says its
 * people's last word again by itself where an addition may still land (C4, C16).
 *
 * Not taken along is whoever stays in another audience of the account (suppression is per purpose, C13): that audience would lose them. They
 * are removed from this one alone, unless it cannot be (`force`); then the other audience says them again.
 */
import { createHash } from 'node:crypto'
import type { Grant } from '@audience-sync/contracts/internal/grants'
import type { Tx } from '@audience-sync/db/database'
import type { KeySet } from '@audience-sync/destination-kit/contract'
import { hmacSha256 } from '@audience-sync/vault/hmac'
import { type InAccount, removalEverywhere, sharedBy, whoGoes } from '../pure/everywhere.ts'
import { decodeHeld } from '../pure/held.ts'
import { type Packed, Packer } from '../pure/packer.ts'
import type { BatchPerson } from '../pure/payload.ts'
import { allTags, taggedBy } from '../pure/tags.ts'
import { heldOf } from '../sealer.ts'
import { alone } from '../store/alone.ts'
import { callsFor, recordTakenAlong, type TakenAlong } from '../store/privacy-removals.ts'
import type { RunRow } from '../store/rows.ts'
import { leaveSharersToSayAgain, recordTags } from '../store/tags.ts'
import { storeBatch } from './batches.ts'
import { inTenant } from './engine.ts'
import { grantOf, type Job, takeQuota } from './job.ts'
import { heldOfPeople } from './people.ts'
import { recordAccepted, sendBatch } from './send.ts'

/** Whether the account, as it stands, can be spoken to as a whole. Letting go of an audience is nobody's opt-out. */
export const mayRemoveEverywhere = ({ engine, audience }: Pick<Job, 'engine' | 'audience'>, grant: Pick<Grant, 'businessId'>): boolean =>
  engine.destination.removeEverywhere !== undefined && engine.destination.removeEverywhere.refusal(grant) === null && audience.deleteRequestedAt === null

/** Removes these people from the account. Answers whoever has to be removed from this audience alone. */
export async function removeFromAccount(job: Job, run: RunRow, customers: readonly number[], { force = false } = {}): Promise<readonly number[]> {
  const { engine, audience, lease } = job
  if (customers.length === 0 || !mayRemoveEverywhere(job, await grantOf(job)) || !(await isOneTenants(job))) return customers
  // One at a time over all pods, so that the second finds what the first has done.
  return alone(engine.db, ['opt-out', engine.destinationNo, audience.accountExternalId], lease.signal, async () => {
    const rows = await heldInAccount(job, customers)
    const done = await shareCalls(job, run, rows)
    return call(
      job,
      run,
      customers.filter((no) => !done.has(no)),
      rows,
      force,
    )
  })
}

/** Those whose removal for privacy is repeated for the whole account, too: they are in no other audience of it, or not any more. */
export async function optedOut(job: Job, customers: readonly number[]): Promise<ReadonlySet<number>> {
  const { engine, audience, lease } = job
  if (customers.length === 0 || !mayRemoveEverywhere(job, await grantOf(job)) || !(await isOneTenants(job))) return new Set()
  const { rows } = await inTenant(engine, lease.tenantId, (tx) =>
    tx.query<{ no: number }>(
      `SELECT DISTINCT p.customer_no AS no FROM privacy_removal p WHERE p.audience_no = $1 AND p.customer_no = ANY($2) AND NOT EXISTS
         (SELECT FROM ledger l JOIN audience a ON a.no = l.audience_no WHERE l.customer_no = p.customer_no AND l.audience_no <> $1
           AND l.destination_no = $3 AND a.account_external_id = $4 AND a.deleted_at IS NULL AND l.generation = a.generation AND (l.remove_batch IS NULL OR l.remove_batch < l.add_batch))`,
      [audience.no, customers, audience.destinationNo, audience.accountExternalId],
    ),
  )
  return new Set(rows.map(({ no }) => no))
}

/** Another tenant's audiences of the same account know nothing of our people. */
export async function isOneTenants({ engine, audience }: Job): Promise<boolean> {
  const { rows } = await engine.db.tx((tx) =>
    tx.query('SELECT FROM audience WHERE destination_no = $1 AND account_external_id = $2 AND tenant_id <> $3 AND deleted_at IS NULL LIMIT 1', [
      audience.destinationNo,
      audience.accountExternalId,
      audience.tenantId,
    ]),
  )
  return rows.length === 0
}

interface Held extends InAccount {
  readonly held: Buffer
}

const heldInAccount = ({ engine, audience, lease }: Job, customers: readonly number[]): Promise<Held[]> =>
  inTenant(engine, lease.tenantId, async (tx) => {
    const open = (batch: string) => `coalesce(${batch}.state IN ('planned', 'sending', 'unknown'), false)`
    const { rows } = await tx.query<Held>(
      `SELECT l.audience_no AS "audienceNo", l.customer_no AS "customerNo", l.held, l.remove_batch IS NULL OR l.remove_batch < l.add_batch AS present,
         coalesce(t.reason = 'privacy', false) AS privacy, ${open('a')} OR ${open('r')} AS open
       FROM ledger l JOIN audience au ON au.no = l.audience_no LEFT JOIN todo t ON t.audience_no = l.audience_no AND t.customer_no = l.customer_no
       LEFT JOIN batch a ON a.no = l.add_batch LEFT JOIN batch r ON r.no = l.remove_batch
       WHERE l.customer_no = ANY($1) AND l.destination_no = $2 AND au.account_external_id = $3 AND au.deleted_at IS NULL AND l.generation = au.generation`,
      [customers, audience.destinationNo, audience.accountExternalId],
    )
    return rows
  })

const digestOf = (held: Buffer): Buffer => createHash('sha256').update(held).digest()

/** Whose removal another audience's call has done: they are recorded as this audience's, with that call's receipt. */
async function shareCalls(job: Job, run: RunRow, rows: readonly Held[]): Promise<ReadonlySet<number>> {
  const { lease, engine } = job
  const mine = new Map(rows.filter(({ audienceNo, open }) => audienceNo === job.audience.no && !open).map((row) => [row.customerNo, row]))
  const calls = await inTenant(engine, lease.tenantId, (tx) => callsFor(tx, job.audience.no, [...mine.keys()]))
  const found = sharedBy(new Map([...mine].map(([no, { held }]) => [no, digestOf(held)])), calls)
  for (const [batchNo, customers] of found) await share(job, run, batchNo, customers)
  return new Set([...found.values()].flat())
}

async function share(job: Job, run: RunRow, batchNo: number, customers: readonly number[]): Promise<void> {
  const { engine, lease } = job
  const { made, held } = await inTenant(engine, lease.tenantId, async (tx) => {
    const { rows } = await tx.query<{ id: string; sha256: Buffer; sent_at: Date; platform_accepted_at: Date; receipt: Record<string, unknown> }>(
      'SELECT id, sha256, sent_at, platform_accepted_at, receipt FROM batch WHERE no = $1',
      [batchNo],
    )
    return { made: rows[0], held: await heldOfPeople(tx, job, customers) }
  })
  if (!made) throw new Error(`Batch ${batchNo} is not visible to this role.`)
  const parts = customers.map((customerNo) => removalEverywhere(customerNo, held.get(customerNo) ?? [], []))
  const batch = await storeBatch(
    job,
    run,
    { operation: 'remove', lane: '', series: '', parts, seq: 1, last: true },
    {
      session: null,
      privacy: true,
      manner: 'account',
      sharedCall: batchNo,
      alongside: async (tx, no) => {
        await tx.query('UPDATE batch SET sha256 = $2, sent_at = $3 WHERE no = $1', [no, made.sha256, made.sent_at])
      },
    },
  )
  await recordAccepted(job, run, batch, { rejections: [], unnamedRejections: 0, receipt: made.receipt, acceptedAt: made.platform_accepted_at })
}

/** Calls for whoever belongs in no audience of the account any more. */
async function call(job: Job, run: RunRow, customers: readonly number[], rows: readonly Held[], force: boolean): Promise<readonly number[]> {
  const { engine, audience, lease } = job
  const { manifest, lane } = engine.destination
  const { going, apart, others, along } = whoGoes(audience.no, customers, rows, force)
  const packer = new Packer(manifest.limits.rowsPerCall, lane)
  const say = async (packed: Packed) => {
    const grant = await grantOf(job)
    await takeQuota(job, grant.tier, 'write')
    const taken = packed.parts.flatMap(({ customerNo }) =>
      along(customerNo).map(({ audienceNo, held }): TakenAlong => ({ audienceNo, customerNo, heldDigest: digestOf(held) })),
    )
    const batch = await storeBatch(job, run, packed, {
      session: null,
      privacy: true,
      manner: 'account',
      alongside: (tx, no) => recordTakenAlong(tx, job.scope, no, taken),
    })
    await sendBatch(job, run, batch, true)
  }
  const { mine, elsewhere } = await inTenant(engine, lease.tenantId, async (tx) => {
    const open = engine.sealer.opening(tx, audience.tenantId)
    const elsewhere = new Map<number, KeySet[]>()
    for (const no of going) {
      for (const row of others(no)) {
        const sets = decodeHeld(manifest.keys, await open(row.held, heldOf(row.audienceNo, no))).map(({ set }) => set)
        elsewhere.set(no, [...(elsewhere.get(no) ?? []), ...sets])
      }
    }
    return { mine: await heldOfPeople(tx, job, going), elsewhere }
  })
  for (const no of going) {
    const part = removalEverywhere(no, mine.get(no) ?? [], elsewhere.get(no) ?? [])
    if (part.sets.length > 0) for (const packed of packer.add([part])) await say(packed)
  }
  for (const packed of packer.flush()) await say(packed)
  return apart
}

/**
 * C2: an account-wide removal takes a shared identifier from every audience; whoever else holds it there is said again, and whoever is added by it
 * before the platform has finished, for which the tags are left there.
 */
export async function leaveSharersElsewhere(tx: Tx, { engine, audience }: Job, batchNo: number, people: readonly BatchPerson[]): Promise<void> {
  const { rows } = await tx.query<{ no: number; tenantNo: number; destinationNo: number; generation: number; tagKey: Buffer }>(
    `SELECT no, tenant_no AS "tenantNo", destination_no AS "destinationNo", generation, tag_key AS "tagKey" FROM audience
     WHERE destination_no = $1 AND account_external_id = $2 AND no <> $3 AND deleted_at IS NULL AND tag_key IS NOT NULL ORDER BY no`,
    [audience.destinationNo, audience.accountExternalId, audience.no],
  )
  const open = engine.sealer.opening(tx, audience.tenantId)
  for (const { no, tagKey, ...rest } of rows) {
    const scope = { audienceNo: no, ...rest }
    const tagging = hmacSha256(await open(tagKey, ['tags', String(no)]))
    const tagged = taggedBy(tagging, engine.destination.manifest.keys, people)
    const gone = people.map(({ customerNo }) => customerNo)
    await leaveSharersToSayAgain(tx, scope, batchNo, allTags(tagged), { goneEverywhere: gone })
    await recordTags(tx, scope, tagged)
  }
}
