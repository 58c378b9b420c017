/**
 * Custom audiences as the platform keeps them: vendors/meta.md §4.1, §4.2, §6. An audience is made empty, takes uploads that show after a while, and
 * says so only by `time_content_updated` and `operation_status`. Its routes stand in audience-routes.ts.
 */
import { audienceDeleted, audienceDisabled, audienceNotReadable, unknownObject } from './errors.ts'
import { CLOSED } from './graph.ts'
import type { DataSource } from './keys.ts'
import { createMembers, type Members } from './members.ts'
import type { Replacement } from './replace.ts'
import type { World } from './world.ts'

export type LookalikeSeed = { originId: string; spec: { country?: string; ratio?: number; type?: string; key: string } }

export type Audience = {
  id: string
  accountId: string
  /** WEBSITE and ENGAGEMENT only as made by hand: they take no people. */
  subtype: 'CUSTOM' | 'LOOKALIKE' | 'WEBSITE' | 'ENGAGEMENT'
  name: string
  description: string
  customerFileSource: string | undefined
  retentionDays: number | undefined
  isValueBased: boolean
  optOutLink: string | undefined
  createdAt: number
  updatedAt: number
  /** Unix seconds; moves when an upload was applied and changed something. */
  contentUpdatedAt: number
  members: Members
  /** Uploads accepted and not yet applied. */
  pending: number
  uploaded: boolean
  /** Of the session that was applied last. */
  manyInvalid: boolean
  /** The last replacement did not come to its end (415). */
  replaceFailed: boolean
  dataSource: DataSource | undefined
  /** Names of the fields that break the integrity policy. */
  flagged: readonly string[]
  disabled: boolean
  deletedAt: number | undefined
  /** Set by a control route, in place of what the twin would say. */
  forced: { operationStatus?: number | undefined; deliveryStatus?: number | undefined; deleteTime?: number | undefined }
  lookalike: LookalikeSeed | undefined
  replacement: Replacement | undefined
}

export const newAudience = (world: World, fields: Pick<Audience, 'accountId' | 'subtype' | 'name' | 'description'> & Partial<Audience>): Audience => {
  const now = world.clock.now()
  const audience: Audience = {
    id: world.nextAudienceId(),
    customerFileSource: undefined,
    retentionDays: undefined,
    isValueBased: false,
    optOutLink: undefined,
    createdAt: now,
    updatedAt: now,
    contentUpdatedAt: Math.floor(now / 1000),
    members: createMembers(world.people),
    pending: 0,
    uploaded: false,
    manyInvalid: false,
    replaceFailed: false,
    dataSource: undefined,
    flagged: violations(fields),
    disabled: false,
    deletedAt: undefined,
    forced: {},
    lookalike: undefined,
    replacement: undefined,
    ...fields,
  }
  world.audiences.set(audience.id, audience)
  return audience
}

/** Whoever deletes it: its list is gone at once, and what was accepted for it is never applied. */
export const deleteAudience = (world: World, audience: Audience): void => {
  audience.deletedAt = world.clock.now()
  audience.members = createMembers(world.people)
}

/** Text that hints at health or money flags an audience (§4.1); the platform's own list is not public. */
const SENSITIVE = /diabet|arthritis|cancer|\bhiv\b|depress|pregnan|high income|low income|credit score|in debt|bankrupt/i

export const violations = (texts: { name: string; description: string }): string[] => [
  ...(SENSITIVE.test(texts.name) ? ['name'] : []),
  ...(SENSITIVE.test(texts.description) ? ['description'] : []),
]

/** An audience that the caller may see. @throws GraphError 100/33 for what is missing or deleted, or stands in an invisible account */
export const visibleAudience = (world: World, id: string, method: string): Audience => {
  const audience = world.audiences.get(id)
  const account = audience && world.accounts.get(audience.accountId)
  if (audience === undefined || account === undefined || account.tasks.length === 0) throw unknownObject(id, method)
  return audience
}

/** @throws GraphError where an upload or removal has nothing to work on: deleted, disabled, or made a moment ago (803) */
export const requireUsable = (world: World, audience: Audience): void => {
  if (audience.deletedAt !== undefined) throw audienceDeleted()
  if (audience.disabled) throw audienceDisabled()
  if (world.clock.now() < audience.createdAt + world.settings.readyAfterMs) throw audienceNotReadable(audience.id)
}

export const lookalikesOf = (world: World, audience: Audience): Audience[] =>
  Array.from(world.audiences.values()).filter((other) => other.deletedAt === undefined && other.lookalike?.originId === audience.id)

const STATUS_TEXT: Readonly<Record<number, string>> = {
  0: 'Status not available',
  100: 'This audience will expire',
  200: 'Normal',
  300: 'Audience is too small',
  400: 'Warning',
  410: 'No upload has been made yet',
  411: 'Low match rate',
  412: 'Many entries of the last upload were invalid',
  414: 'The audience is being replaced',
  415: 'The replacement failed',
  441: 'The audience is being populated',
  470: 'The account that created the audience is inactive',
  450: 'The audience is out of date or inactive',
  471: 'The audience has been flagged',
  500: 'Error',
}
export const status = (code: number) => ({ code, description: STATUS_TEXT[code] ?? 'Warning' })

export const operationStatus = (world: World, audience: Audience): number => {
  if (audience.forced.operationStatus !== undefined) return audience.forced.operationStatus
  if (audience.flagged.length > 0) return 471
  if (CLOSED.has(world.accounts.get(audience.accountId)?.status ?? 1)) return 470
  if (audience.replacement !== undefined) return 414
  if (audience.pending > 0) return 441
  if (audience.replaceFailed) return 415
  if (audience.manyInvalid) return 412
  return audience.uploaded || audience.subtype === 'LOOKALIKE' ? 200 : 410
}

/** Similarity means the top 1 %, reach the top 5 % (§6). */
export const shareOf = ({ ratio, type }: { ratio?: unknown; type?: unknown }): number => (typeof ratio === 'number' ? ratio : type === 'reach' ? 0.05 : 0.01)

/** Fewer people cannot be shown ads (§1, §4.2). */
const USABLE_SIZE = 100
/** Below this the platform does not say how many there are (§4.1, from memory). */
const SHOWN_SIZE = 1_000

export const deliveryStatus = (world: World, audience: Audience): number => {
  if (audience.forced.deliveryStatus !== undefined) return audience.forced.deliveryStatus
  if (audience.flagged.length > 0) return 400
  if (audience.subtype === 'LOOKALIKE') return audience.pending > 0 || operationStatus(world, audience) === 450 ? 300 : 200
  return matched(world, audience) < USABLE_SIZE ? 300 : 200
}

export const matched = (world: World, audience: Audience): number => Math.round(audience.members.size() * world.settings.matchRate)

/** About one percent of a country; a lookalike is as many of these as its ratio has percent. */
const LOOKALIKE_PERCENT = 2_100_000

/** Rounded to two digits downward and upward; 1000 for small lists, -1 for none and for lookalikes that are being built or inactive (450). */
export const sizeBounds = (world: World, audience: Audience): [number, number] => {
  const ready = audience.pending === 0 && operationStatus(world, audience) !== 450
  const size = audience.lookalike === undefined ? matched(world, audience) : ready ? Math.round(shareOf(audience.lookalike.spec) * 100 * LOOKALIKE_PERCENT) : 0
  if (size === 0) return [-1, -1]
  if (size < SHOWN_SIZE) return [SHOWN_SIZE, SHOWN_SIZE]
  const step = 10 ** (String(size).length - 2)
  return [Math.floor(size / step) * step, Math.ceil(size / step) * step]
}
