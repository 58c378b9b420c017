/** Lookalikes: made of a seed, found among the seed's own, read, deleted (vendors/meta.md §6). */
import type { Context } from '@audience-sync/destination-kit/contract'
import { DestinationError } from '@audience-sync/destination-kit/failure'
import type { FarLookalike, FarSeed, LookalikeSpec, Lookalikes, NewLookalike } from '@audience-sync/destination-kit/lookalike-contract'
import { farAudience, readFields, statusOf } from './audience-state.ts'
import { type Graph, required } from './client.ts'
import { isRecord, listOf, numberOf, parseJson, textOf } from './json.ts'

const jsonHeaders = { 'content-type': 'application/json' }
const lookalikeFields = `${readFields},lookalike_spec`
const seedFields = `${readFields},lookalike_audience_ids`
const marker = /\[as:([^\]]*)\]$/

/** `operation_status` of a lookalike (§4.2). 441 may be used already; 431–434 failed, and Meta tries again. */
const building = new Set([410, 441, 442])
const failed = new Set([431, 432, 433, 434, 500])
const inactive = 450
const flagged = 471
const creatorInactive = 470
const notReady = 300

/** The shares behind the words: the top per cent, and the top five (§6). */
const ratios: Readonly<Record<string, number>> = { similarity: 0.01, reach: 0.05 }

/** "Create failed", of a lookalike: the seed has too few people there. Elsewhere the same code is a missing permission. */
const createFailed = '2654'
const seedFlagged = '100/1713232'

/** Of the account, as a whole: where to look for what exists. */
interface Shared {
  read(ctx: Context, id: string, fields: string): Promise<Readonly<Record<string, unknown>> | null>
  delete(ctx: Context, id: string): Promise<void>
}

export function metaLookalikes(graph: Graph, apiVersion: string, shared: Shared): Lookalikes {
  return {
    rules: { minimumSeed: 100, ratio: { min: 0.01, max: 0.2, step: 0.01 }, unusedDays: 90 },

    async readSeed(ctx: Context, externalId: string): Promise<FarSeed | null> {
      const node = await shared.read(ctx, externalId, seedFields)
      return node && { ...farAudience(node, externalId), lookalikeIds: listOf(node.lookalike_audience_ids).map(String) }
    },

    async create(ctx: Context, { name, marker, seedExternalId, spec }: NewLookalike): Promise<string> {
      const fields = {
        name,
        description: `[as:${marker}]`,
        subtype: 'LOOKALIKE',
        origin_audience_id: seedExternalId,
        // A string that holds JSON, whatever the body is.
        lookalike_spec: JSON.stringify(specOf(spec)),
      }
      const path = `/${apiVersion}/act_${ctx.accountExternalId}/customaudiences`
      try {
        const { body } = await graph(ctx, { method: 'POST', path, headers: jsonHeaders, body: Buffer.from(JSON.stringify(fields)), shown: fields })
        return required(textOf(body.id), 'the id of the lookalike')
      } catch (error) {
        throw asOfCreation(error)
      }
    },

    async read(ctx: Context, externalId: string): Promise<FarLookalike | null> {
      const node = await shared.read(ctx, externalId, lookalikeFields)
      return node && farLookalike(node, externalId)
    },

    same,
    delete: shared.delete,
  }
}

/** One country by itself is `country`; all else is a `location_spec`. */
export function specOf({ type, ratio, startingRatio, countries, countryGroups, excludedCountries, allowInternationalSeeds }: LookalikeSpec): object {
  const alone = countries.length === 1 && countryGroups.length === 0 && excludedCountries.length === 0
  const geo = { ...(countries.length > 0 && { countries }), ...(countryGroups.length > 0 && { country_groups: countryGroups }) }
  return {
    type,
    ...(ratio !== null && { ratio }),
    ...(startingRatio !== null && { starting_ratio: startingRatio }),
    ...(alone
      ? { country: countries[0] }
      : { location_spec: { geo_locations: geo, ...(excludedCountries.length > 0 && { excluded_geo_locations: { countries: excludedCountries } }) } }),
    ...(allowInternationalSeeds && { allow_international_seeds: true }),
  }
}

export function farLookalike(node: Readonly<Record<string, unknown>>, externalId: string): FarLookalike {
  const { name, detail } = farAudience(node, externalId)
  const [lower, upper] = [numberOf(node.approximate_count_lower_bound) ?? -1, numberOf(node.approximate_count_upper_bound) ?? -1]
  return {
    externalId,
    name,
    marker: marker.exec(textOf(node.description) ?? '')?.[1] ?? null,
    // -1: not built yet, resting, or, once Meta makes them so, not bound to a place. None of these says how it is.
    size: lower < 0 ? null : { lower, upper: Math.max(lower, upper) },
    state: stateOf(statusOf(node.operation_status).code, statusOf(node.delivery_status).code),
    detail,
    spec: node.lookalike_spec ?? null,
  }
}

function stateOf(operation: number, delivery: number): FarLookalike['state'] {
  if (operation === flagged) return 'flagged'
  if (operation === inactive) return 'inactive'
  if (failed.has(operation)) return 'failed'
  if (operation === creatorInactive || delivery > notReady) return 'unusable'
  if (building.has(operation)) return 'building'
  return delivery === notReady ? 'unusable' : 'ready'
}

/**
 * Meta keeps one per seed, place and share. It tells the place as `country`, as `target_countries`, or as it was sent; a lookalike without
 * a place is like any other of its share.
 */
function same(spec: LookalikeSpec, { spec: told }: FarLookalike): boolean {
  const far = typeof told === 'string' ? parseJson(told) : told
  if (!isRecord(far)) return false
  const share = (ratio: unknown, type: unknown) => Math.round(100 * (numberOf(ratio) ?? ratios[textOf(type) ?? ''] ?? 0))
  if (share(far.ratio, far.type) !== share(spec.ratio, spec.type)) return false
  if (share(far.starting_ratio, '') !== share(spec.startingRatio, '')) return false
  const places = placesOf(far)
  return places.length === 0 || places.join() === [...spec.countries, ...spec.countryGroups].sort().join()
}

function placesOf(far: Readonly<Record<string, unknown>>): string[] {
  const location = isRecord(far.location_spec) && isRecord(far.location_spec.geo_locations) ? far.location_spec.geo_locations : {}
  const listed = [...listOf(far.target_countries), ...listOf(location.countries), ...listOf(location.country_groups)].map(String)
  const country = textOf(far.country)
  return [...new Set(listed.length > 0 || country === undefined ? listed : [country])].sort()
}

function asOfCreation(error: unknown): unknown {
  if (!(error instanceof DestinationError)) return error
  const { failure } = error
  if (failure.platform?.code === createFailed) return new DestinationError({ ...failure, kind: 'invalid', code: 'lookalike_refused' }, error)
  if (failure.platform?.code === seedFlagged) return new DestinationError({ ...failure, code: 'seed_flagged' }, error)
  return error
}
