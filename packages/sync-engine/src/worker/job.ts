/**
 * One audience under a lease, with what its worker needs to talk: the token, the frozen choice, the calls it makes.
 * Calls are collected while they happen and stored with the outcome they led to.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { topics } from '@audience-sync/contracts/events/topics'
import { publicId } from '@audience-sync/contracts/ids'
import type { Grant } from '@audience-sync/contracts/internal/grants'
import { type IdentifierChoice, identifierChoices } from '@audience-sync/contracts/people'
import type { Transformation } from '@audience-sync/contracts/transformations'
import { onRollback, type Tx } from '@audience-sync/db/database'
import type { CallRecord, Context, SendConfig, Usage } from '@audience-sync/destination-kit/contract'
import { DestinationError, type Failure } from '@audience-sync/destination-kit/failure'
import type { Manifest } from '@audience-sync/destination-kit/manifest-contract'
import { AppError } from '@audience-sync/errors/app-error'
import { publish } from '@audience-sync/events/outbox'
import { traceId } from '@audience-sync/service/otel'
import { type Hmac, hmacSha256 } from '@audience-sync/vault/hmac'
import { timestampFromDate } from '@bufbuild/protobuf/wkt'
import { BACKOFF_CAP_MS } from '../options.ts'
import { type Choice, choiceOf, type Versions } from '../pure/diff.ts'
import { TURN_CALLS } from '../pure/placement.ts'
import { alone } from '../store/alone.ts'
import type { Exceptions, LedgerScope } from '../store/ledger.ts'
import { block, blockedFor, heedAll, take } from '../store/limiter.ts'
import { othersWait } from '../store/line.ts'
import type { AudienceRow } from '../store/rows.ts'
import { failsWith, RunFails, RunWaits, reasonOf } from './endings.ts'
import type { Engine } from './engine.ts'
import type { Lease, Wishes } from './lease.ts'

/** As much as one needs to talk to the platform for an audience. */
export interface Speaker {
  readonly engine: Engine
  readonly audience: AudienceRow
  readonly lease: Pick<Lease, 'signal'>
  /** Made, and not stored yet. */
  readonly calls: CallRecord[]
  readonly usages: Usage[]
}

export interface Job extends Omit<Speaker, 'audience'> {
  readonly lease: Lease
  audience: AudienceRow
  readonly exceptions: Exceptions
  readonly scope: LedgerScope
  /** Frozen when the run was claimed. */
  readonly config: SendConfig
  readonly choice: Choice
  readonly versions: Versions
  /** What was wished when the work began. */
  readonly wished: Pick<Wishes, 'pause' | 'remove'>
  /** Made with its first use. */
  tagging?: Hmac
  /** Whose removal for privacy was refused because of the size it would leave: removed from the whole account next (R7). */
  tooSmall?: number[]
  /** Of a far audience that we have left: what becomes of its calls is kept apart (`former.ts`). */
  readonly former?: true
}

/** What an audience chose, as its runs freeze it. */
export function choicesOf(manifest: Manifest, audience: AudienceRow): { readonly config: SendConfig; readonly choice: Choice } {
  const identifiers = identifierChoices.filter((choice): choice is IdentifierChoice => audience.identifiers.includes(choice))
  const settings = manifest.settings.parse(audience.settings)
  const transformations = audience.transformations as Transformation[]
  const config: SendConfig = { identifiers, settings, transformations, ...(audience.defaultCountry && { defaultCountry: audience.defaultCountry }) }
  return { config, choice: choiceOf(identifiers, manifest.purpose(settings), manifest.sends(settings), transformations) }
}

export function openJob(engine: Engine, lease: Lease, audience: AudienceRow, exceptions: Exceptions): Job {
  const { manifest } = engine.destination
  const { config, choice } = choicesOf(manifest, audience)
  const { no: audienceNo, tenantNo, destinationNo, generation, configVersion } = audience
  return {
    engine,
    lease,
    audience,
    exceptions,
    scope: { audienceNo, tenantNo, destinationNo, generation },
    config,
    choice,
    versions: { configVersion, normaliser: manifest.normaliserVersion },
    wished: { pause: audience.pausedAt !== null, remove: audience.deleteRequestedAt !== null },
    calls: [],
    usages: [],
  }
}

const TAG_KEY_BYTES = 32

/** What makes the audience's identifier tags; its key is made with its first use (C2). */
export async function taggingOf(job: Job): Promise<Hmac> {
  if (job.tagging) return job.tagging
  const { engine, audience, lease } = job
  const of = ['tags', String(audience.no)]
  const seal = await engine.sealer.sealing(audience.tenantId, 1)
  const key = await lease.fenced(null, async (tx) => {
    const { rows } = await tx.query<{ key: Buffer }>('UPDATE audience SET tag_key = coalesce(tag_key, $2) WHERE no = $1 RETURNING tag_key AS key', [
      audience.no,
      seal(randomBytes(TAG_KEY_BYTES), of),
    ])
    if (!rows[0]) throw new Error(`Audience ${audience.no} is not visible to this role.`)
    return engine.sealer.opening(tx, audience.tenantId)(rows[0].key, of)
  })
  job.tagging = hmacSha256(key)
  return job.tagging
}

/** A token, or the state that the run waits in until there is one. */
export async function grantOf({ engine, audience }: Pick<Speaker, 'engine' | 'audience'>): Promise<Grant> {
  try {
    return await engine.grants.get(audience.tenantId, audience.accountId)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    if (error.status === 503) throw new RunWaits(engine.options.patienceMs, { code: error.code, detail: error.message })
    throw new RunWaits(null, { code: error.code, detail: error.message })
  }
}

const callerOf = ({ engine, audience }: Pick<Speaker, 'engine' | 'audience'>) => ({
  destinationNo: engine.destinationNo,
  tenantId: audience.tenantId,
  accountId: audience.accountId,
  accountExternalId: audience.accountExternalId,
  aheadMs: engine.clock.aheadMs(),
})

/**
 * Points for one call from every quota that it costs; waits a little, or lets the run wait. A run that goes on later is planned anew:
 * it waits until there are points for `calls`, as far as they make a turn, not for the next call alone, unless others stand in the line.
 */
export async function takeQuota(job: Speaker, tier: string | null, kind: 'read' | 'write', calls = 1): Promise<void> {
  const { engine, lease } = job
  const { quotas } = engine.destination.manifest
  for (;;) {
    const { waitMs, turnMs, quota } = await engine.db.tx((tx) => take(tx, quotas, { ...callerOf(job), tier }, kind, Math.min(calls, TURN_CALLS)))
    if (waitMs === 0) return
    if (waitMs > engine.options.patienceMs) {
      // In the line it is back when the others may be claimed, too: the first of them goes on.
      const forMs = (await othersWait(engine, job.audience)) ? waitMs - engine.options.patienceMs : turnMs
      throw new RunWaits(forMs, { code: 'platform_throttled', detail: `Our share of ${quota} is used up for now.` })
    }
    await engine.clock.sleep(waitMs, lease.signal)
  }
}

/** Points were taken before the batch was stored: a call may have been refused meanwhile, and calling on would lengthen that. */
export async function notBlocked(job: Speaker): Promise<void> {
  const { engine } = job
  const forMs = await engine.db.tx((tx) => blockedFor(tx, engine.destination.manifest.quotas, callerOf(job), 'write'))
  if (forMs > 0) throw new RunWaits(forMs, { code: 'platform_throttled', detail: 'The platform refuses calls for now.' })
}

export function contextOf(job: Speaker, grant: Grant): Context {
  return {
    accessToken: grant.accessToken,
    proof: grant.proof,
    accountExternalId: grant.accountExternalId,
    signal: job.lease.signal,
    callTimeoutMs: Math.min(job.engine.options.callMs, job.engine.options.leaseMs * 0.6),
    onCall: (record) => job.calls.push(record),
    onUsage: (usage) => job.usages.push(usage),
    alone: (what, work) => alone(job.engine.db, [job.engine.destinationNo, grant.accountExternalId, what], job.lease.signal, work),
  }
}

/** Stores the calls made since the last time, and what their answers said of the quotas. */
export async function storeCalls(tx: Tx, job: Speaker, runNo: number | null, batchNo: number | null = null): Promise<void> {
  const { engine, audience } = job
  const calls = job.calls.splice(0)
  const usages = job.usages.splice(0)
  onRollback(tx, () => {
    job.calls.unshift(...calls)
    job.usages.unshift(...usages)
  })
  for (const call of calls) {
    await tx.query(
      `INSERT INTO call (tenant_id, destination_no, audience_no, run_no, batch_no, method, path, status, duration_ms, request, response, platform_request_id, trace_id, started_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
      [
        audience.tenantId,
        audience.destinationNo,
        audience.no,
        runNo,
        batchNo,
        call.method,
        call.path,
        call.status,
        Math.round(call.durationMs),
        JSON.stringify(call.request ?? null),
        JSON.stringify(call.response ?? null),
        call.platformRequestId,
        traceId() ?? null,
        call.startedAt,
      ],
    )
  }
  if (runNo !== null && calls.length > 0) await tx.query('UPDATE run SET api_calls = api_calls + $2 WHERE no = $1', [runNo, calls.length])
  for (const usage of await heedAll(tx, engine.destination.manifest.quotas, callerOf(job), usages)) await tellLow(tx, job, usage)
}

/** The tenant whose call it was is told; an account of several tenants is rare, and each meets it. */
const tellLow = (tx: Tx, { audience }: Speaker, { quota, percent, regainAfterMs }: Usage): Promise<unknown> =>
  publish(tx, {
    topic: topics.quotaLow,
    tenantId: audience.tenantId,
    key: audience.accountId,
    message: {
      accountId: publicId('account', audience.accountId),
      destination: audience.destination,
      quota,
      percent,
      ...(regainAfterMs && { until: timestampFromDate(new Date(Date.now() + regainAfterMs)) }),
    },
  })

/** Full jitter (F10). */
export const backoffMs = ({ options, random }: Engine, attempt: number, firstMs = options.backoffMs): number =>
  Math.ceil(random() * Math.min(BACKOFF_CAP_MS, firstMs * 2 ** attempt))

const BUSY_MS = 60_000 // the platform works on the audience: it takes minutes rather than seconds
const BLOCKED_MS = 3_600_000 // vendors/meta.md §2: retry after hours at most

/**
 * One call that is no batch (look up, create, read …): quota, token, call, and what its failure means for the run.
 * `unavailable` and `unknown` are tried again here, because these calls are reads, or are looked up first.
 */
export async function callPlatform<T>(job: Job, runNo: number | null, kind: 'read' | 'write', call: (ctx: Context) => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    const grant = await grantOf(job)
    await takeQuota(job, grant.tier, kind)
    await job.lease.extend()
    try {
      const result = await call(contextOf(job, grant))
      await inCalls(job, runNo)
      return result
    } catch (error) {
      await inCalls(job, runNo)
      if (!(error instanceof DestinationError)) throw error
      await meet(job, grant, error.failure, attempt)
    }
  }
}

const inCalls = (job: Job, runNo: number | null) => job.lease.fenced(runNo, (tx) => storeCalls(tx, job, runNo))

/** What follows from a failure that is nobody's batch: returns to try again, or throws how the run goes on. */
export async function meet(job: Speaker, grant: Grant, failure: Failure, attempt: number): Promise<void> {
  const { engine, lease, audience } = job
  const reason = reasonOf(failure)
  switch (failure.kind) {
    case 'unavailable':
    case 'unknown': {
      const waitMs = Math.max(failure.retryAfterMs ?? 0, backoffMs(engine, attempt))
      if (waitMs > engine.options.patienceMs || attempt >= 8) throw new RunWaits(waitMs, reason)
      await sleep(waitMs, undefined, { signal: lease.signal })
      return
    }
    case 'throttled': {
      const forMs = failure.retryAfterMs ?? BUSY_MS
      const { quotas } = engine.destination.manifest
      const definition = quotas.find(({ id }) => id === failure.quota) ?? quotas[0]
      if (definition) await engine.db.tx((tx) => block(tx, definition, callerOf(job), forMs))
      throw new RunWaits(forMs, reason)
    }
    case 'busy':
      throw new RunWaits(failure.retryAfterMs ?? BUSY_MS, reason)
    case 'blocked': {
      // The account is, not the audience: calling on from any other would lengthen it.
      const forMs = failure.retryAfterMs ?? BLOCKED_MS
      const definition = engine.destination.manifest.quotas.find(({ scope }) => scope === 'account')
      if (definition) await engine.db.tx((tx) => block(tx, definition, callerOf(job), forMs))
      throw new RunWaits(forMs, reason)
    }
    case 'auth':
      // Tokens rotate: connections may have a newer one than we remember.
      engine.grants.forget()
      if ((await grantOf(job)).version !== grant.version) return
      await engine.grants.report(audience.tenantId, grant, 'token_dead', failure.platform)
      // Told, connections renews what can be renewed; where it cannot, it refuses the next grant and says why.
      if ((await grantOf(job)).version !== grant.version) return
      throw new RunWaits(BUSY_MS, { ...reason, code: 'connection_expired' })
    case 'permission':
    case 'terms':
      await engine.grants.report(audience.tenantId, grant, failure.kind === 'terms' ? 'terms_not_signed' : 'permission_denied', failure.platform)
      throw new RunFails(reason)
    default:
      throw failsWith(failure)
  }
}
