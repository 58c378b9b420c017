/** Public ids: a prefix that says what it is, and a UUIDv7 (sortable by time). Inside, tables use the bare UUID or a number. */
import { v7 } from 'uuid'
import { z } from 'zod'

export const prefixes = {
  tenant: 'ten',
  apiKey: 'key',
  connection: 'con',
  account: 'acc',
  behavior: 'beh',
  audience: 'aud',
  lookalike: 'lal',
  run: 'run',
  batch: 'bat',
  plan: 'plan',
  schedule: 'sch',
  slot: 'slot',
  event: 'evt',
  request: 'req',
  erasure: 'era',
  webhookEndpoint: 'whe',
  delivery: 'msg',
} as const

export type IdKind = keyof typeof prefixes

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'

/** A new UUIDv7, bare. */
export const newUuid = (): string => v7()

/** `aud_0193…`: what the API shows of a UUID. */
export const publicId = (kind: IdKind, uuid: string): string => `${prefixes[kind]}_${uuid}`

/** The UUID of a public id, or undefined when it is not one of that kind (callers answer `not_found`, not `validation_failed`). */
export function uuidOf(kind: IdKind, id: string): string | undefined {
  const match = new RegExp(`^${prefixes[kind]}_(${UUID})$`).exec(id)
  return match?.[1]
}

/** A public id in a body or an answer. */
export const zId = (kind: IdKind) =>
  z
    .string()
    .max(64)
    .meta({ description: `id of a ${kind}`, example: `${prefixes[kind]}_01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d` })
