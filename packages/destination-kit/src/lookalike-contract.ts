/**
 * Similar audiences, made by the platform of people who resemble those of one of our audiences: its *seed*. An optional member of a
 * `Destination`. Who is in one is the platform's secret; we wish for one, find it again, and say how it is.
 *
 * Life of one: the seed is read until it is usable → looked for by our marker, then made (a create whose answer was lost is looked
 * for again, F32) → read until the platform has built it, and now and then after that → deleted.
 */
import type { Context, FarAudience } from './contract.ts'

/** What the user chose. Lists are sorted; countries are ISO 3166-1 alpha-2 in upper case. */
export interface LookalikeSpec {
  /** `similarity` and `reach`: the platform's own shares, the closest people or more of them. */
  readonly type: 'similarity' | 'reach' | 'custom_ratio'
  /** Of the place's people, the most similar share; with `custom_ratio` only. */
  readonly ratio: number | null
  /** The share to leave out at the top: 0.01 with a ratio of 0.02 is the second per cent. */
  readonly startingRatio: number | null
  readonly countries: readonly string[]
  /** In the platform's words. */
  readonly countryGroups: readonly string[]
  readonly excludedCountries: readonly string[]
  /** The seed may have too few people in the chosen places. */
  readonly allowInternationalSeeds: boolean
}

export interface LookalikeRules {
  /** People that a seed needs. */
  readonly minimumSeed: number
  /** Of `ratio`, and of `startingRatio`. */
  readonly ratio: { readonly min: number; readonly max: number; readonly step: number }
  /** Days without use after which the platform lets one rest. */
  readonly unusedDays: number
}

export interface FarSeed extends FarAudience {
  /** Lookalikes that rest on it, whoever made them. */
  readonly lookalikeIds: readonly string[]
}

export interface NewLookalike {
  readonly name: string
  /** Ours, unique: written where `read` can see it. */
  readonly marker: string
  readonly seedExternalId: string
  readonly spec: LookalikeSpec
}

export interface FarLookalike {
  readonly externalId: string
  readonly name: string
  /** null: it carries none, or not one of ours. */
  readonly marker: string | null
  /** Approximate people; null where the platform gives no figure: not built, resting, or not bound to a place. */
  readonly size: { readonly lower: number; readonly upper: number } | null
  /** `building`: not whole yet · `failed`: the platform tries again by itself · `inactive`: unused, it rests until somebody uses it. */
  readonly state: 'ready' | 'building' | 'failed' | 'inactive' | 'flagged' | 'unusable'
  readonly detail: string
  /** As the platform tells it. */
  readonly spec: unknown
}

/** Fails with a `DestinationError`, as all of a destination does. */
export interface Lookalikes {
  readonly rules: LookalikeRules
  /** null: not there, or no longer ours to see. */
  readSeed(ctx: Context, externalId: string): Promise<FarSeed | null>
  /** Answers the external id. A platform that has one like it already refuses with code `lookalike_duplicate`. */
  create(ctx: Context, lookalike: NewLookalike): Promise<string>
  /** null: not there, or no longer ours to see. */
  read(ctx: Context, externalId: string): Promise<FarLookalike | null>
  /** Pure. Whether the platform would take the two for the same, of one seed. */
  same(spec: LookalikeSpec, far: FarLookalike): boolean
  /** Done as well when it is gone already. */
  delete(ctx: Context, externalId: string): Promise<void>
}
