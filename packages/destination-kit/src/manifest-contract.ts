/**
 * What a destination says of itself before anybody calls it: limits, keys, quotas, how it applies what it takes, and words for people.
 * Data and pure functions. `Manifest` is what every destination has to say, `ManifestExtras` what only some have.
 */
import type { Code } from '@audience-sync/errors/catalogue'
import type { z } from 'zod'
import type { IdentifierChoice, Purpose } from './contract.ts'
import type { VersionLife } from './version-contract.ts'

/** Codes of the platform that all end in one of ours. */
export interface PlatformCodes {
  readonly code: Code
  /** As in `Failure.platform.code`: `200/1870034`; ranges as `80000-80014`. */
  readonly platform: readonly string[]
}

/** A complaint as people put it, what is behind it, and what they can do. */
export interface Trouble {
  readonly title: string
  readonly text: string
  readonly solution: string
  /** Our codes under which it shows. */
  readonly codes: readonly Code[]
}

export type AudiencePurpose = 'targeting' | 'exclusion' | 'seed'

/** What its owner chose of an audience, as far as a platform's rules look at it. */
export interface AudienceChoice<S = unknown> {
  readonly purpose: AudiencePurpose
  readonly settings: S
  readonly adopted: boolean
  /** People who may be sent; null: not counted yet. */
  readonly eligible: number | null
}

/** Something its owner should know of an audience as it is; nothing is wrong. */
export interface Notice {
  readonly code: Code
  readonly detail?: string
}

/** A choice that the platform takes once, when the audience is made. */
export interface FixedChoice {
  /** Of the request's body: `settings.valueBased`. */
  readonly path: string
  readonly message: string
}

export interface ManifestExtras<S = unknown> {
  /** Of `apiVersion`, on that day. Missing: the platform's versions do not end. */
  versionLife?(now: Date): VersionLife
  readonly platformCodes?: readonly PlatformCodes[]
  readonly troubleshooting?: readonly Trouble[]
  /** The form of an audience's id there: one to adopt that has another is refused before any call. Missing: any text. */
  readonly audienceId?: RegExp
  /** What of a change the platform would not take, once the audience exists there. */
  fixedChoices?(before: AudienceChoice<S>, after: AudienceChoice<S>): readonly FixedChoice[]
  /** Whether the same rows would be sent under both. Missing: other settings may make other rows. */
  sameRows?(before: S, after: S): boolean
  notices?(choice: AudienceChoice<S>): readonly Notice[]
  /** The platform shows this figure for every audience that is smaller: it is no size, and no rate follows from it. */
  readonly sizeFloor?: number
}

/** One key that a row may carry. The list is stored by position: keys are only ever added at its end. */
export interface KeyDefinition {
  /** The platform's name, for example `EMAIL`. */
  readonly name: string
  /** How the value looks as sent: a SHA-256 in lower-case hex, or text. */
  readonly form: 'sha256' | 'text'
  /** A removal that carries just this key finds the person (SYNC.md C1, C2). */
  readonly matchesAlone: boolean
}

/** A quota that the platform really has (R5). The engine keeps one bucket per scope and shares it between pods. */
export interface QuotaDefinition {
  readonly id: string
  /** Whose bucket: the account's, or one for the whole installation (a cloud project). */
  readonly scope: 'account' | 'installation'
  /** Points that a call costs. 0 for both: only the platform counts it, in percent. */
  readonly cost: { readonly read: number; readonly write: number }
  /** Points, by the account's tier (`''`: no tier known), each counted for `decaySeconds` after its call. */
  readonly capacity: Readonly<Record<string, number>>
  readonly decaySeconds: number
  /** Points that each audience of the account adds to the capacity, up to `most` in all. */
  readonly perAudience?: { readonly points: number; readonly most: number }
}

export interface Manifest<S = unknown> extends ManifestExtras<S> {
  readonly id: string
  readonly title: string
  readonly apiVersion: string
  /** Where production calls go, without a slash at the end: the host that a preview shows. */
  readonly origin?: string
  /** Settings of an audience; shown as JSON Schema. */
  readonly settings: z.ZodType<S>
  readonly keys: readonly KeyDefinition[]
  readonly identifiers: readonly IdentifierChoice[]
  /** Which permission of the person a send needs under these settings. */
  purpose(settings: S): Purpose
  /** Whether these settings make the person's value, or consent state, part of what is sent. */
  sends(settings: S): { readonly value: boolean; readonly consent: boolean }
  readonly limits: {
    /** Rows in one call at most. */
    readonly rowsPerCall: number
    readonly nameLength: number
    readonly descriptionLength: number
    readonly audiencesPerAccount: number
  }
  /** People that an audience needs before it is exported, unless the audience says otherwise. */
  readonly minimumSize: number
  readonly quotas: readonly QuotaDefinition[]
  /** True only where the vendor says that accepted calls are applied in the order they were accepted (SYNC.md C4). */
  readonly keepsOrder: boolean
  /** `answer`: applied when accepted. `settle`: the platform works on, `settle()` asks. */
  readonly applies: 'answer' | 'settle'
  /** Accepted batches that one call of `settle` asks about; missing: one call answers for all. A job id each: 1. */
  readonly batchesPerLook?: number
  /** `settle` may still name rows as refused: the engine keeps the rows of accepted batches until then. */
  readonly refusesLate?: boolean
  /** Days after which whoever is still wanted there is added again, because the platform forgets them, or whose an identifier is; null, or missing: never. */
  renewAfterDays?(settings: S, identifiers: readonly IdentifierChoice[]): number | null
  /** `run`: the batches of one run, operation and lane are numbered in one session, the last one marked. */
  readonly sessions: 'none' | 'run'
  readonly normaliserVersion: number
  /** Where a person reads of the platform's own troubles. */
  readonly statusPage: string
  readonly advice: readonly { readonly title: string; readonly text: string }[]
  /** In order of size; `limitedReach`: an audience this small runs, but not everywhere, or not well. */
  readonly sizeBands: readonly { readonly upTo: number | null; readonly band: string; readonly text: string; readonly limitedReach?: boolean }[]
  /** Sets of identifiers under a name, to choose all at once. */
  readonly presets?: readonly UploadPreset[]
  readonly names?: NameRules
  /** Days that a member stays there under these settings: `{duration}` of a name. null, or missing: for ever. */
  memberDays?(settings: S): number | null
}

export interface UploadPreset {
  readonly id: string
  readonly title: string
  readonly text: string
  readonly identifiers: readonly IdentifierChoice[]
}

export interface NameRules {
  readonly advice: readonly { readonly text: string; readonly example: string }[]
  /** Words in a name or description that make the platform flag the audience. Singular, lower case. */
  readonly flagged: readonly { readonly topic: string; readonly words: readonly string[] }[]
}
