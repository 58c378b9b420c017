/** Lookalikes as users wish for them and see them. The lease holder of the seed makes them, looks after them and deletes them (SYNC.md C15). */
import { publicId, uuidOf } from '@audience-sync/contracts/ids'
import type { Lookalike, NewLookalike } from '@audience-sync/contracts/rest/lookalikes'
import { orm, type Tx } from '@audience-sync/db/database'
import type { LookalikeRules, LookalikeSpec } from '@audience-sync/destination-kit/lookalike-contract'
import { AppError } from '@audience-sync/errors/app-error'
import { lookalike } from '@audience-sync/sync-engine/schema/lookalike'
import { giveUpLookalike, type LookalikeRow, lookalikesOf, mayExist, wishLookalike } from '@audience-sync/sync-engine/store/lookalikes'
import { type AudienceRow, readAudience } from '@audience-sync/sync-engine/store/rows'
import { and, desc, eq, isNull, lt } from 'drizzle-orm'
import { nameWarnings } from './audience-json.ts'
import { invalid } from './check-new.ts'
import { type Destinations, destinationAt } from './destinations.ts'
import { hasTemplate } from './names.ts'
import { reasonOf } from './reasons.ts'

/** Wishes for one; the seed, locked by the caller, need not be ready. */
export async function createLookalike(tx: Tx, seed: AudienceRow, asked: NewLookalike, destinations: Destinations): Promise<LookalikeRow> {
  if (seed.deleteRequestedAt) throw new AppError('audience_deleting', 'The seed is being deleted.')
  const { manifest, lookalikes } = destinationAt(destinations, seed.destination)
  if (!lookalikes) throw new AppError('lookalikes_unsupported', `${manifest.title} makes no lookalikes.`)
  if (asked.name.length > manifest.limits.nameLength) throw invalid('name', `at most ${manifest.limits.nameLength} characters at ${manifest.title}`)
  if (hasTemplate(asked.name)) throw invalid('name', 'templates are of audiences: write what it shall be called')
  checkShares(asked, lookalikes.rules)
  checkPlaces(asked)
  checkValues(asked, isValueBased(seed, destinations))
  const spec = specOf(asked)
  const row = await wishLookalike(tx, seed, asked.name, spec)
  if (row) return row
  const [like] = await orm(tx)
    .select()
    .from(lookalike)
    .where(and(eq(lookalike.audienceNo, seed.no), eq(lookalike.spec, spec), isNull(lookalike.deletedAt)))
  throw new AppError('lookalike_duplicate', 'The seed has a lookalike of the same choice.', { extra: { lookalikeId: like && publicId('lookalike', like.id) } })
}

function checkShares({ type, ratio, startingRatio }: NewLookalike, { ratio: { min, max, step } }: LookalikeRules): void {
  if (type !== 'custom_ratio') {
    if (ratio !== undefined) throw invalid('ratio', `only with custom_ratio: ${type} has its own`)
    if (startingRatio !== undefined) throw invalid('startingRatio', `only with custom_ratio: ${type} has its own`)
    return
  }
  if (ratio === undefined) throw invalid('ratio', 'custom_ratio needs one')
  for (const [path, share] of Object.entries({ ratio, startingRatio })) {
    if (share === undefined) continue
    if (share < min || share > max || !isWhole(share / step)) throw invalid(path, `from ${min} to ${max} in steps of ${step}`)
  }
  if (startingRatio !== undefined && startingRatio >= ratio) throw invalid('startingRatio', 'less than the ratio')
}

/** 0.07 / 0.01 is 7.000000000000001. */
const isWhole = (steps: number): boolean => Math.abs(steps - Math.round(steps)) < 1e-6

function checkPlaces({ countries, countryGroups, excludedCountries }: NewLookalike): void {
  if (countries.length + countryGroups.length === 0) throw invalid('countries', 'at least one country or country group')
  const both = excludedCountries.filter((country) => countries.includes(country))
  if (both.length > 0) throw invalid('excludedCountries', `${both.join(', ')}: included and excluded`)
  if (excludedCountries.length > 0 && countryGroups.length === 0) throw invalid('excludedCountries', 'of country groups only')
}

function checkValues({ valueBased }: NewLookalike, seedHasValues: boolean): void {
  if (valueBased === true && !seedHasValues) throw new AppError('lookalike_needs_values', 'The seed is sent without values.')
  if (valueBased === false && seedHasValues) throw invalid('valueBased', 'the seed has values, so its lookalikes are value-based')
}

/** In one order, so that the same choice is the same row. */
const specOf = ({ type, ratio, startingRatio, countries, countryGroups, excludedCountries, allowInternationalSeeds }: NewLookalike): LookalikeSpec => ({
  type,
  ratio: ratio ?? null,
  startingRatio: startingRatio ?? null,
  countries: once(countries),
  countryGroups: once(countryGroups),
  excludedCountries: once(excludedCountries),
  allowInternationalSeeds,
})

const once = (names: readonly string[]): string[] => [...new Set(names)].sort()

function isValueBased(seed: AudienceRow, destinations: Destinations): boolean {
  const { manifest } = destinationAt(destinations, seed.destination)
  return manifest.sends(manifest.settings.parse(seed.settings)).value
}

/** By its public id; `not_found` for unknown, foreign and deleted ones. */
export async function findLookalike(tx: Tx, publicLookalikeId: string): Promise<LookalikeRow> {
  const id = uuidOf('lookalike', publicLookalikeId)
  const [row] = id
    ? await orm(tx)
        .select()
        .from(lookalike)
        .where(and(eq(lookalike.id, id), isNull(lookalike.deletedAt)))
    : []
  if (!row) throw new AppError('not_found', 'There is no such lookalike.')
  return row
}

/** Newest first, at most `limit`, older than the lookalike `before`, a bare UUID. */
export function listLookalikes(tx: Tx, seed: AudienceRow, before: string | undefined, limit: number): Promise<LookalikeRow[]> {
  return orm(tx)
    .select()
    .from(lookalike)
    .where(and(eq(lookalike.audienceNo, seed.no), isNull(lookalike.deletedAt), before ? lt(lookalike.id, before) : undefined))
    .orderBy(desc(lookalike.id))
    .limit(limit)
}

export async function deleteLookalike(tx: Tx, publicLookalikeId: string): Promise<LookalikeRow> {
  const row = await findLookalike(tx, publicLookalikeId)
  await giveUpLookalike(tx, await readAudience(tx, row.audienceNo), row)
  return findLookalike(tx, publicLookalikeId)
}

/**
 * Before the seed is deleted: the platform refuses while lookalikes rest on it, so we do before it is asked. With `andThem` those that
 * we made go first; one that somebody made there keeps its seed, unless the seed itself stays there.
 */
export async function clearLookalikes(tx: Tx, seed: AudienceRow, andThem: boolean): Promise<void> {
  const rows = await lookalikesOf(tx, seed.no)
  const inTheWay = rows.filter((row) => mayExist(row) && !row.deleteRequestedAt && (!andThem || (row.adopted && !seed.adopted)))
  if (inTheWay.length > 0) {
    const names = inTheWay.map(({ name, adopted }) => `"${name}"${adopted ? ' (made at the platform)' : ''}`).join(', ')
    throw new AppError('lookalikes_exist', `The audience is the seed of ${names}.`, {
      extra: { lookalikes: inTheWay.map(({ id, name, adopted }) => ({ id: publicId('lookalike', id), name, adopted })) },
    })
  }
  for (const row of rows) await giveUpLookalike(tx, seed, row)
}

export function lookalikeJson(row: LookalikeRow, seed: AudienceRow, destinations: Destinations): Lookalike {
  const { sizeLower, sizeUpper, sizeAsOf } = row
  return {
    id: publicId('lookalike', row.id),
    seedAudienceId: publicId('audience', seed.id),
    destination: seed.destination,
    accountId: publicId('account', seed.accountId),
    name: row.name,
    ...(row.spec as LookalikeSpec & { countries: string[]; countryGroups: string[]; excludedCountries: string[] }),
    valueBased: isValueBased(seed, destinations),
    status: row.status as Lookalike['status'],
    statusReason: reasonOf(row.statusReason, row.statusSince),
    externalId: row.externalId,
    adopted: row.adopted,
    size: sizeLower === null || sizeUpper === null || sizeAsOf === null ? null : { lower: sizeLower, upper: sizeUpper, asOf: sizeAsOf.toISOString() },
    nameWarnings: nameWarnings({ name: row.name, description: '' }, seed.destination, destinations),
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  }
}
