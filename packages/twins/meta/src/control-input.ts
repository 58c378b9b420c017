/** What the control routes take: shapes, and what a change does to an audience or account. */
import { z } from 'zod'
import { type Audience, newAudience } from './audiences.ts'
import { isKey } from './keys.ts'
import type { World } from './world.ts'

/** vendors/meta.md §3.5. */
const ACCOUNT_STATUSES = [1, 2, 3, 7, 8, 9, 100, 101] as const

export const accountPatch = z.strictObject({
  name: z.string().optional(),
  status: z.literal(ACCOUNT_STATUSES).optional(),
  /** None: the account becomes invisible, as when access was taken away. */
  tasks: z.array(z.enum(['MANAGE', 'ADVERTISE', 'ANALYZE', 'DRAFT', 'AA_ANALYZE'])).optional(),
  terms: z.boolean().optional(),
  userTerms: z.boolean().optional(),
  businessTerms: z.boolean().optional(),
  tier: z.enum(['development_access', 'standard_access']).optional(),
  business: z.strictObject({ id: z.string(), name: z.string() }).nullable().optional(),
  audienceLimit: z.int().nonnegative().optional(),
  lookalikeLimit: z.int().nonnegative().optional(),
  cpuPercent: z.int().nonnegative().optional(),
  timePercent: z.int().nonnegative().optional(),
})

export const audiencePatch = z.strictObject({
  name: z.string().optional(),
  description: z.string().optional(),
  /** The fields that break the integrity policy; true means the name, false none. */
  flagged: z.union([z.boolean(), z.array(z.string())]).optional(),
  disabled: z.boolean().optional(),
  /** A code to show in place of the twin's own; null gives that back. */
  operationStatus: z.int().nullable().optional(),
  deliveryStatus: z.int().nullable().optional(),
  /** When the platform will delete it for want of use, ISO 8601; null: it will not. */
  deleteTime: z.iso.datetime().nullable().optional(),
})

const identifiers = z.record(z.string().refine(isKey, 'no identifier key'), z.union([z.string(), z.number(), z.array(z.string())]))
/** An audience that somebody made by hand. Members in the form that uploads have: `{EMAIL: "<hash>"}`. */
export const handMade = audiencePatch.extend({
  accountId: z.string().transform((id) => id.replace(/^act_/, '')),
  name: z.string().min(1),
  description: z.string().default(''),
  subtype: z.enum(['CUSTOM', 'WEBSITE', 'ENGAGEMENT']).default('CUSTOM'),
  members: z.array(identifiers).default([]),
  isValueBased: z.boolean().default(false),
  retentionDays: z.int().min(1).max(180).optional(),
})

export const changeAudience = (
  audience: Audience,
  { flagged, operationStatus, deliveryStatus, deleteTime, ...plain }: z.output<typeof audiencePatch>,
): void => {
  Object.assign(audience, plain)
  if (flagged !== undefined) audience.flagged = Array.isArray(flagged) ? flagged : flagged ? ['name'] : []
  if (operationStatus !== undefined) audience.forced.operationStatus = operationStatus ?? undefined
  if (deliveryStatus !== undefined) audience.forced.deliveryStatus = deliveryStatus ?? undefined
  if (deleteTime !== undefined) audience.forced.deleteTime = deleteTime === null ? undefined : Math.floor(Date.parse(deleteTime) / 1000)
}

export const makeByHand = (
  world: World,
  { accountId, name, description, subtype, members, isValueBased, retentionDays, ...more }: z.output<typeof handMade>,
): Audience => {
  const file = subtype === 'CUSTOM'
  const audience = newAudience(world, {
    accountId,
    name,
    description,
    subtype,
    isValueBased,
    retentionDays,
    customerFileSource: file ? 'USER_PROVIDED_ONLY' : undefined,
    uploaded: members.length > 0 || !file,
    dataSource: members.length > 0 ? 'MULTI_HASHES' : undefined,
  })
  for (const row of members) audience.members.add({ schema: Object.keys(row), values: Object.values(row) })
  changeAudience(audience, more)
  return audience
}
