/** The destinations that this installation knows. Audiences uses what they take and the pure half of sending; it never calls a platform. */
import type { Destination } from '@audience-sync/destination-kit/contract'
import type { Manifest } from '@audience-sync/destination-kit/manifest-contract'
import { AppError } from '@audience-sync/errors/app-error'
import type { Readiness } from '@audience-sync/service/probes'
import { z } from 'zod'
import { templates } from './names.ts'

export type Destinations = ReadonlyMap<string, Destination>

export const byId = (destinations: readonly Destination[]): Destinations => new Map(destinations.map((one) => [one.manifest.id, one]))

/** Says of each destination whose API version will end that it will; a check that never fails. */
export const versionChecks = (destinations: Destinations): (() => Readiness)[] =>
  [...destinations.values()].map(({ manifest: { id, apiVersion, versionLife } }) => () => {
    const life = versionLife?.(new Date())
    return { ok: true, detail: `${id} ${apiVersion}`, ...(life && life.state !== 'current' && { warning: life.text }) }
  })

/** With the installation's own minimum sizes in place of the destinations'; one for a destination that is not there is a mistake. */
export function withMinimums(destinations: readonly Destination[], sizes: Readonly<Record<string, number>>): readonly Destination[] {
  const unknown = Object.keys(sizes).filter((id) => !destinations.some(({ manifest }) => manifest.id === id))
  if (unknown.length > 0) throw new Error(`MINIMUM_SIZES names ${unknown.join(', ')}, and there is no such destination.`)
  return destinations.map((one) => ({ ...one, manifest: { ...one.manifest, minimumSize: sizes[one.manifest.id] ?? one.manifest.minimumSize } }))
}

/** Of a path: throws `not_found`. */
export function destinationAt(destinations: Destinations, id: string): Destination {
  const found = destinations.get(id)
  if (!found) throw new AppError('not_found', `There is no destination "${id}".`)
  return found
}

/** The settings with defaults filled in; throws `settings_invalid`, naming each field. */
export function parseSettings({ settings, id }: Manifest, given: unknown): Record<string, unknown> {
  const parsed = settings.safeParse(given)
  if (parsed.success) return parsed.data as Record<string, unknown>
  const errors = parsed.error.issues.map(({ path, message }) => ({ in: 'body', path: ['settings', ...path].join('.'), message }))
  throw new AppError('settings_invalid', `Destination ${id} does not take these settings.`, { extra: { errors } })
}

/** The manifest as `GET /v1/destinations` shows it. */
export const describe = ({ manifest, lookalikes }: Destination) => ({
  id: manifest.id,
  title: manifest.title,
  apiVersion: manifest.apiVersion,
  versionLife: manifest.versionLife?.(new Date()) ?? null,
  settings: z.toJSONSchema(manifest.settings, { io: 'input' }) as Record<string, unknown>,
  identifiers: [...manifest.identifiers],
  capabilities: {
    keepsOrder: manifest.keepsOrder,
    applies: manifest.applies,
    keys: manifest.keys.map(({ name }) => name),
    lookalikes: lookalikes?.rules ?? null,
  },
  limits: { ...manifest.limits },
  minimumSize: manifest.minimumSize,
  quotas: manifest.quotas.map(({ id, scope, capacity, decaySeconds }) => ({ id, scope, capacity: { ...capacity }, decaySeconds })),
  sizeBands: manifest.sizeBands.map((band) => ({ limitedReach: false, ...band })),
  presets: (manifest.presets ?? []).map((preset) => ({ ...preset, identifiers: [...preset.identifiers] })),
  names: {
    templates: templates.map((name) => `{${name}}`),
    advice: [...(manifest.names?.advice ?? [])],
    flagged: (manifest.names?.flagged ?? []).map(({ topic, words }) => ({ topic, words: [...words] })),
  },
  advice: [...manifest.advice],
  troubleshooting: (manifest.troubleshooting ?? []).map((trouble) => ({ ...trouble, codes: [...trouble.codes] })),
  statusPage: manifest.statusPage,
})
