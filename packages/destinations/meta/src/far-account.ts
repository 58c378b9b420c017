/** An ad account as `/me/adaccounts` shows it (vendors/meta.md §3.5). */
import type { FarAccount } from '@audience-sync/destination-kit/connect-contract'
import { termsUrl } from './failure.ts'
import { isRecord, listOf, numberOf, textOf } from './json.ts'

export const farAccountFields =
  'id,account_id,name,account_status,disable_reason,currency,timezone_name,business{id,name},user_tasks,tos_accepted,user_tos_accepted'

const statuses: Readonly<Record<number, readonly [FarAccount['status'], string]>> = {
  1: ['active', 'active'],
  2: ['disabled', 'disabled'],
  3: ['pending', 'unsettled'],
  7: ['pending', 'in risk review'],
  8: ['pending', 'pending settlement'],
  9: ['active', 'in grace period'],
  100: ['pending', 'pending closure'],
  101: ['closed', 'closed'],
}

/** One of them lets a person work on audiences. */
const tasks = ['MANAGE', 'ADVERTISE']

const signed = (terms: unknown): boolean => isRecord(terms) && numberOf(terms.custom_audience_tos) === 1

/** Empty for a node without an id. */
export function farAccount(node: Readonly<Record<string, unknown>>): FarAccount[] {
  const externalId = textOf(node.account_id) ?? textOf(node.id)?.replace(/^act_/, '')
  if (externalId === undefined) return []
  const code = numberOf(node.account_status) ?? 0
  const [status, statusDetail] = statuses[code] ?? ['disabled', `status ${code}`]
  const { business, tos_accepted: terms, user_tos_accepted: own } = node
  const businessId = isRecord(business) ? textOf(business.id) : undefined
  return [
    {
      externalId,
      name: textOf(node.name) ?? externalId,
      status,
      statusDetail,
      currency: textOf(node.currency) ?? null,
      timeZone: textOf(node.timezone_name) ?? null,
      business: isRecord(business) && businessId !== undefined ? { id: businessId, name: textOf(business.name) ?? businessId } : null,
      // Missing is not signed.
      termsSigned: signed(terms),
      // Terms are per user and business; system users have no signature of their own.
      userTermsSigned: isRecord(own) ? signed(own) : null,
      termsUrl: termsUrl(externalId),
      // Meta leaves the tasks out for some system users; then only trying tells.
      canManageAudiences: !Array.isArray(node.user_tasks) || listOf(node.user_tasks).some((task) => tasks.includes(String(task))),
    },
  ]
}
