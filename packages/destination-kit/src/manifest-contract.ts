/**
 * What a manifest may say beside what every destination has to: words for people, and rules of audiences that only some
 * platforms have. Every member is optional; nothing here names a platform.
 */
import type { Code } from '@audience-sync/errors/catalogue'

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

export interface ManifestExtras {
  readonly platformCodes?: readonly PlatformCodes[]
  readonly troubleshooting?: readonly Trouble[]
}
