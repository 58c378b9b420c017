/** Lookalikes: vendors/meta.md §6. As much as creation needs; who is in one is the platform's secret, so they have no members here. */
import { type Audience, deliveryStatus, newAudience, shareOf } from './audiences.ts'
import { createFailed, invalidParameter, missingParameter, seedFlagged, unknownObject } from './errors.ts'
import type { Call } from './graph.ts'
import { applyLater } from './uploads.ts'

const SMALLEST_SEED = 100
const TYPES = ['similarity', 'reach', 'custom_ratio']
const KNOWN = [
  'type',
  'ratio',
  'starting_ratio',
  'country',
  'location_spec',
  'allow_international_seeds',
  'is_financial_service',
  'origin_event_source_name',
  'origin_event_source_type',
]

type Spec = { type?: string; ratio?: number; country?: string; key: string }

export const createLookalike = (call: Call, name: string, description: string): Audience => {
  const { world, params } = call
  const account = call.account()
  const originId = params.requiredText('origin_audience_id')
  const spec = readSpec(params.requiredText('lookalike_spec'))
  const origin = world.audiences.get(originId)
  if (origin === undefined || origin.deletedAt !== undefined || origin.accountId !== account.id) throw unknownObject(originId, 'POST')
  if (origin.flagged.length > 0) throw seedFlagged()
  if (origin.subtype === 'LOOKALIKE') throw createFailed('a lookalike cannot be a seed')
  if (origin.members.size() < SMALLEST_SEED || deliveryStatus(world, origin) !== 200)
    throw createFailed(`the seed audience needs at least ${SMALLEST_SEED} people and must be ready`)

  const others = Array.from(world.audiences.values()).filter(
    (one) => one.accountId === account.id && one.deletedAt === undefined && one.lookalike !== undefined,
  )
  if (others.some(({ lookalike }) => lookalike?.originId === originId && lookalike.spec.key === spec.key))
    throw createFailed('a lookalike of this seed, country and ratio exists', 1713007)
  if (others.length >= account.lookalikeLimit) throw createFailed('too many lookalike audiences in this ad account')
  const lookalike = newAudience(world, { accountId: account.id, subtype: 'LOOKALIKE', name, description, lookalike: { originId, spec } })
  applyLater(world, lookalike, () => true)
  return lookalike
}

const readSpec = (text: string): Spec => {
  const wrong = (why: string) => invalidParameter(`Param lookalike_spec: ${why}`, 'lookalike_spec')
  const spec = parseObject(text)
  if (spec === undefined) throw wrong('must be an object as a JSON string')
  const unknown = Object.keys(spec).find((key) => !KNOWN.includes(key))
  if (unknown !== undefined) throw wrong(`unknown key ${unknown}`)
  const { type, ratio, starting_ratio: from, country, location_spec: place } = spec
  if (ratio === undefined && (type === undefined || type === 'custom_ratio')) throw missingParameter('lookalike_spec[ratio]')
  if (type !== undefined && !TYPES.includes(String(type))) throw wrong(`type must be one of ${TYPES.join(', ')}`)
  if (ratio !== undefined && !(typeof ratio === 'number' && ratio >= 0.01 && ratio <= 0.2)) throw wrong('ratio must be from 0.01 to 0.20')
  if (from !== undefined && !(typeof from === 'number' && typeof ratio === 'number' && from < ratio)) throw wrong('starting_ratio must be below ratio')
  if (country !== undefined && !/^[A-Z]{2}$/.test(String(country))) throw wrong('country must be two capital letters')
  if (country === undefined && place === undefined) throw missingParameter('lookalike_spec[country]')
  if (place !== undefined && !isPlace(place)) throw wrong('location_spec needs geo_locations with countries or country_groups')
  return {
    ...(type === undefined ? {} : { type: String(type) }),
    ...(typeof ratio === 'number' ? { ratio } : {}),
    ...(country === undefined ? {} : { country: String(country) }),
    key: JSON.stringify([placesOf(country, place), shareOf({ ratio, type }), from ?? 0]),
  }
}

/** However they are said: one seed has one lookalike of a share in a place. */
const placesOf = (country: unknown, place: unknown): unknown[] => {
  const { geo_locations: geo, excluded_geo_locations: excluded } = (place ?? {}) as {
    geo_locations?: Record<string, string[]>
    excluded_geo_locations?: unknown
  }
  const named = new Set([...(country === undefined ? [] : [String(country)]), ...(geo?.countries ?? []), ...(geo?.country_groups ?? [])])
  return [...Array.from(named).sort(), excluded ?? null]
}

const isPlace = (place: unknown): boolean => {
  const { countries, country_groups: groups } = (place as { geo_locations?: { countries?: unknown; country_groups?: unknown } } | null)?.geo_locations ?? {}
  const isList = (list: unknown, form: RegExp) => Array.isArray(list) && list.length > 0 && list.every((one) => typeof one === 'string' && form.test(one))
  return (
    (countries === undefined || isList(countries, /^[A-Z]{2}$/)) && (groups === undefined || isList(groups, /^[a-z_]+$/)) && (countries ?? groups) !== undefined
  )
}

const parseObject = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
