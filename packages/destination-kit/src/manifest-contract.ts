/**
 * What a manifest may say beside what every destination has to: words for people, and rules of audiences that only some
 * platforms have. Every member is optional; nothing here names a platform.
 */
import type { Code } from '@audience-sync/errors/catalogue'
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
  /** What of a change the platform would not take, once the audience exists there. */
  fixedChoices?(before: AudienceChoice<S>, after: AudienceChoice<S>): readonly FixedChoice[]
  /** Whether the same rows would be sent under both. Missing: other settings may make other rows. */
  sameRows?(before: S, after: S): boolean
  notices?(choice: AudienceChoice<S>): readonly Notice[]
  /** The platform shows this figure for every audience that is smaller: it is no size, and no rate follows from it. */
  readonly sizeFloor?: number
}
