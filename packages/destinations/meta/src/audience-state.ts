/** Meta's status codes of an audience → our words (vendors/meta.md §4.2). */
import type { FarAudience } from '@audience-sync/destination-kit/contract'
import type { Remark } from '@audience-sync/destination-kit/progress-contract'
import type { Code } from '@audience-sync/errors/catalogue'
import { isRecord, listOf, numberOf, textOf } from './json.ts'

/** `operation_status` of an audience whose uploads are worked off: normal, or usable with a remark (expiring, warning, few matches, many invalid rows). */
const workedOff = new Set([100, 200, 400, 411, 412])
/** No upload yet, replace in progress, populating, not prefilled. */
const atWork = new Set([410, 414, 441, 442])
const flagged = 471
/** The account that made it is inactive. */
const creatorInactive = 470
const expiring = 100
const tooSmall = 300
const unusable = 400

export const readFields = [
  'id',
  'name',
  'description',
  'subtype',
  'delivery_status',
  'operation_status',
  'approximate_count_lower_bound',
  'approximate_count_upper_bound',
  'time_content_updated',
  'time_created',
  'delete_time',
  'fields_violating_integrity_policy',
].join(',')

interface Status {
  readonly code: number
  readonly text: string
}

export const statusOf = (value: unknown): Status =>
  isRecord(value) ? { code: numberOf(value.code) ?? 0, text: textOf(value.description) ?? '' } : { code: 0, text: '' }

/** Meta's estimate lies between two bounds; -1 says that it gives none. */
function boundsOf(lower: number | undefined, upper: number | undefined): { lower: number; upper: number } | undefined {
  const low = lower ?? -1
  return low < 0 ? undefined : { lower: low, upper: Math.max(upper ?? low, low) }
}

function stateOf(operation: number, delivery: number): FarAudience['state'] {
  if (operation === flagged) return 'flagged'
  if (operation === creatorInactive || delivery >= unusable) return 'disabled'
  if (operation === expiring) return 'expiring'
  if (atWork.has(operation)) return 'processing'
  return delivery === tooSmall ? 'too_small' : 'ready'
}

function detailOf(operation: Status, delivery: Status, flaggedFields: readonly unknown[]): string {
  const parts = [`operation ${operation.code}`, operation.text, `delivery ${delivery.code}`, delivery.text]
  if (flaggedFields.length > 0) parts.push(`flagged for its ${flaggedFields.join(', ')}`)
  return parts.filter((part) => part !== '').join(', ')
}

export function farAudience(node: Readonly<Record<string, unknown>>, externalId: string): FarAudience {
  const operation = statusOf(node.operation_status)
  const delivery = statusOf(node.delivery_status)
  const deleteTime = numberOf(node.delete_time) ?? 0
  const bounds = boundsOf(numberOf(node.approximate_count_lower_bound), numberOf(node.approximate_count_upper_bound))
  return {
    externalId,
    name: textOf(node.name) ?? '',
    size: bounds ? Math.round((bounds.lower + bounds.upper) / 2) : null,
    ...(bounds && { bounds }),
    state: stateOf(operation.code, delivery.code),
    detail: detailOf(operation, delivery, listOf(node.fields_violating_integrity_policy)),
    expiresAt: deleteTime > 0 ? new Date(deleteTime * 1_000) : null,
  }
}

/** What Meta remarks on an audience whose uploads it did work off. */
const remarks: ReadonlyMap<number, Code> = new Map([
  [400, 'platform_remark'],
  [411, 'few_matches'],
  [412, 'many_invalid_rows'],
])

export function remarksOn(node: Readonly<Record<string, unknown>>): Remark[] {
  const { code, text } = statusOf(node.operation_status)
  const ours = remarks.get(code)
  return ours ? [{ code: ours, detail: `Meta says: operation ${code}${text === '' ? '' : `, ${text}`}.` }] : []
}

/** Seconds since 1970 of the last change that Meta worked off; undefined while it works, or where it says nothing. */
export function contentUpdatedAt(node: Readonly<Record<string, unknown>>): number | undefined {
  return workedOff.has(statusOf(node.operation_status).code) ? numberOf(node.time_content_updated) : undefined
}
