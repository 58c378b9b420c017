/**
 * All that the sync engine knows of a destination; each folder under `destinations/` exports one.
 *
 * Cast. A *person* comes from behavior-export. `prepare` turns them into *key sets*: one set is one row at the platform,
 * exactly as it will be sent (digests; for some keys the value itself). The engine keeps the key sets in its ledger, packs
 * rows of the same *lane* into batches, and `encode` makes a batch into bytes. Both are pure, so a batch can be encoded again,
 * byte for byte, and preview shows what will be sent. `push` sends bytes; `settle` asks later what became of them.
 *
 * Everything that talks to the platform answers, or throws a `DestinationError` whose failure says what kind it is; the
 * engine alone decides what follows from it (retry, wait, split, pause, stop).
 */

import type { Transformation } from '@audience-sync/contracts/transformations'
import type { Code } from '@audience-sync/errors/catalogue'
import type { Adopting } from './adopt-contract.ts'
import type { Failure, RowRejection } from './failure.ts'
import type { Lookalikes } from './lookalike-contract.ts'
import type { AudiencePurpose, Manifest } from './manifest-contract.ts'
import type { Normaliser } from './normaliser-contract.ts'
import type { RemoveEverywhere } from './opt-out-contract.ts'
import type { Remark, Sessions } from './progress-contract.ts'
import type { ReplaceList } from './replace-contract.ts'

// ─── data ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

export type IdentifierChoice = 'email' | 'phone' | 'name' | 'address' | 'gender' | 'birthDate' | 'mobileAdId' | 'externalId'
export type Purpose = 'ads' | 'ads_ldu' | 'crm'
export type Operation = 'add' | 'remove'

export interface Person {
  readonly customerId: string
  readonly identifiers: {
    readonly email?: string | undefined
    readonly emails?: readonly string[] | undefined
    readonly phone?: string | undefined
    readonly firstName?: string | undefined
    readonly lastName?: string | undefined
    readonly gender?: string | undefined
    readonly birthDate?: string | undefined
    readonly city?: string | undefined
    readonly region?: string | undefined
    readonly postalCode?: string | undefined
    readonly country?: string | undefined
    readonly mobileAdId?: string | undefined
    readonly externalId?: string | undefined
  }
  readonly consent?: {
    readonly adUserData: 'granted' | 'denied' | 'unspecified'
    readonly adPersonalization: 'granted' | 'denied' | 'unspecified'
    readonly crm: 'granted' | 'denied' | 'unspecified'
    readonly saleShareOptOut: boolean
  }
  readonly value?: number | undefined
  readonly limitedDataUse?: boolean
}

/** What one audience chose, frozen for a run. */
export interface SendConfig<S = unknown> {
  readonly identifiers: readonly IdentifierChoice[]
  readonly settings: S
  /** For national phone numbers and missing countries; ISO 3166-1 alpha-2. */
  readonly defaultCountry?: string | undefined
  /** Applied before `prepare`, by `prepareAs`; adapters do not look at them. */
  readonly transformations?: readonly Transformation[] | undefined
}

/** One row as sent: values in the order of `manifest.keys`, `''` where there is none. */
export type KeySet = readonly string[]

export interface DroppedField {
  /** Field of `identifiers`, for example `phone`. */
  readonly field: string
  readonly code: Code
}

/** `rejected`: nothing of the person can be sent. */
export type Prepared =
  | { readonly sets: readonly KeySet[]; readonly dropped: readonly DroppedField[]; readonly rejected: null }
  | { readonly sets: readonly []; readonly dropped: readonly DroppedField[]; readonly rejected: Code }

export interface Session {
  /** Positive, below 2^53, unique per account. */
  readonly id: number
  /** From 1. */
  readonly seq: number
  readonly last: boolean
}

export interface Batch<S = unknown> {
  readonly operation: Operation
  readonly audienceExternalId: string
  readonly accountExternalId: string
  readonly rows: readonly KeySet[]
  readonly session: Session | null
  readonly config: SendConfig<S>
}

/** Everything of a call but the credential. `body` is sent as it is. */
export interface EncodedRequest {
  readonly method: 'POST' | 'DELETE' | 'GET' | 'PATCH' | 'PUT'
  /** With version, without host: `/v26.0/123/users`. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** What the calls log shows in place of the body: keys, number of rows, session. No identifiers. */
  readonly shown?: Readonly<Record<string, unknown>>
}

// ─── talking ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One call to the platform, as the calls log shows it: identifiers masked, no credential. */
export interface CallRecord {
  readonly method: string
  readonly path: string
  readonly startedAt: Date
  readonly durationMs: number
  /** Missing when no answer came. */
  readonly status: number | null
  readonly request: unknown
  /** Masked. `platformWarning` in it is what the platform said beside its answer, of our version of its API: `GET /v1/status` shows it. */
  readonly response: unknown
  readonly platformRequestId: string | null
}

/** Lives for one unit of work of one account. */
export interface Context {
  readonly accessToken: string
  readonly proof?: string | undefined
  readonly accountExternalId: string
  /** Ends every call: the work was fenced off, or the process stops. */
  readonly signal: AbortSignal
  /** Total time that one function's calls may take together; shorter than what is left of the lease (SYNC.md C16). */
  readonly callTimeoutMs: number
  onCall(record: CallRecord): void
  /** Does `work` while nobody else does `what` for this account: where something is read, computed and written back (SYNC.md C23). */
  alone<T>(what: string, work: () => Promise<T>): Promise<T>
  /** What the answer's headers said of the quotas; the limiter follows it. */
  onUsage(usage: Usage): void
}

export interface Usage {
  readonly quota: string
  /** Of the platform's own limit, 0 to 100 and above. */
  readonly percent: number
  /** Time until calls are taken again, where the platform says so. */
  readonly regainAfterMs?: number | undefined
  /** Tier that the platform named. */
  readonly tier?: string | undefined
}

/** The platform took the batch; whether it matched anybody is another question. */
export interface Accepted {
  readonly rejections: readonly RowRejection[]
  /** Rows that the platform counted as refused without naming them (SYNC.md C24). */
  readonly unnamedRejections: number
  /** What proves it: session, request id, trace id. No identifiers. */
  readonly receipt: Readonly<Record<string, unknown>>
  /** By the platform's own clock, from the answer's `Date` (SYNC.md C20). */
  readonly acceptedAt: Date
}

export interface AcceptedBatch {
  readonly batchId: string
  readonly acceptedAt: Date
  readonly receipt: Readonly<Record<string, unknown>>
}

export type Settled =
  /** `lookAgainAfterMs`: not worth asking earlier. */
  | { readonly batchId: string; readonly state: 'pending'; readonly lookAgainAfterMs?: number }
  /** `unnamedRejections`: refused, counted and not named, beyond those that `push` told. */
  | {
      readonly batchId: string
      readonly state: 'applied'
      readonly rejections: readonly RowRejection[]
      readonly unnamedRejections?: number
      readonly remarks?: readonly Remark[]
    }
  /** Nothing of it was done. */
  | { readonly batchId: string; readonly state: 'rejected'; readonly failure: Failure }

export interface NewAudience<S = unknown> {
  readonly name: string
  readonly description: string
  /** Ours, unique: written where `find` can see it, so that a create whose answer was lost is not made twice (F32). */
  readonly marker: string
  readonly settings: S
  /** Missing: `targeting`. */
  readonly purpose?: AudiencePurpose
}

export interface FarAudience {
  readonly externalId: string
  readonly name: string
  /** Approximate people as the platform shows it; null where it does not say. */
  readonly size: number | null
  /** Between which the platform puts it, where it says so. */
  readonly bounds?: { readonly lower: number; readonly upper: number }
  readonly state: 'ready' | 'processing' | 'too_small' | 'flagged' | 'disabled' | 'expiring'
  readonly detail: string
  readonly expiresAt: Date | null
}

export interface Destination<S = unknown> extends Adopting<S> {
  readonly manifest: Manifest<S>
  /** Pure. Normalises and hashes; several e-mail addresses make several sets. */
  prepare(person: Person, config: SendConfig<S>): Prepared
  /** Beside the one in force: newer ones in shadow, older ones to go back to. */
  readonly normalisers?: readonly Normaliser<S>[]
  /** Pure. Rows of different lanes never share a batch (Meta: with and without EXTERN_ID). */
  lane(set: KeySet): string
  /** Pure, and the same bytes for the same batch. */
  encode(batch: Batch<S>): EncodedRequest
  /**
   * Sends one batch. Harmless twice. May take several calls (upsert, then list): what broke off half-way is `unknown`. Rows that an
   * answer passes over in silence are rejections.
   */
  push(ctx: Context, request: EncodedRequest): Promise<Accepted>
  /** Where one call removes people from every audience of an account. */
  readonly removeEverywhere?: RemoveEverywhere<S>
  /** Where the whole list of an audience can be said anew. */
  readonly replaceList?: ReplaceList<S>
  /** Missing: the platform tells nothing of a session beyond the answers to its uploads. */
  readonly sessions?: Sessions
  /** What became of accepted batches of one audience. Only where `applies` is `settle`. */
  settle(ctx: Context, audienceExternalId: string, batches: readonly AcceptedBatch[]): Promise<readonly Settled[]>
  /** All audiences that carry our marker, oldest first. */
  findAudiences(ctx: Context, marker: string): Promise<readonly FarAudience[]>
  createAudience(ctx: Context, audience: NewAudience<S>): Promise<FarAudience>
  /** null: not there, or no longer ours to see. */
  readAudience(ctx: Context, externalId: string): Promise<FarAudience | null>
  updateAudience(ctx: Context, externalId: string, changes: { readonly name?: string; readonly description?: string; readonly settings?: S }): Promise<void>
  deleteAudience(ctx: Context, externalId: string): Promise<void>
  /** Missing: the platform makes no similar audiences. */
  readonly lookalikes?: Lookalikes
}
