/**
 * An audience that somebody else made, looked at before we keep it in step: only a list of customers takes rows, and only one that
 * this account may edit, that is not flagged, and that is value-based exactly when the settings say so.
 */
import type { Context, FarAudience } from '@audience-sync/destination-kit/contract'
import { DestinationError } from '@audience-sync/destination-kit/failure'
import type { Code } from '@audience-sync/errors/catalogue'
import { farAudience, readFields } from './audience-state.ts'
import { isRecord, listOf, textOf } from './json.ts'
import type { MetaSettings } from './manifest.ts'

/** Ids of the Graph API are digits; anything else in the path would be another call. */
export const audienceId = /^\d{1,20}$/

export const adoptFields = `${readFields},account_id,data_source,is_value_based,permission_for_actions`

/** Of the published enum: what is not made of rows that somebody uploads. */
const notOfRows: ReadonlySet<unknown> = new Set(['EVENT_BASED', 'SEED_BASED', 'HOUSEHOLD_AUDIENCE'])

type Node = Readonly<Record<string, unknown>>

export async function adopt(
  { accountExternalId }: Pick<Context, 'accountExternalId'>,
  node: Node | null,
  externalId: string,
  { valueBased }: MetaSettings,
): Promise<FarAudience> {
  if (node === null) throw refused('audience_missing', 'The audience to adopt does not exist, or this connection may not see it.')
  const far = farAudience(node, externalId)
  const source = isRecord(node.data_source) ? node.data_source.type : undefined
  if (node.subtype !== 'CUSTOM' || notOfRows.has(source))
    throw refused('adopt_kind', `It is an audience of subtype ${String(node.subtype)}${source === undefined ? '' : ` made from ${String(source)}`}.`)
  const owner = textOf(node.account_id)
  const permissions = isRecord(node.permission_for_actions) ? node.permission_for_actions : {}
  if (permissions.can_edit === false || (owner !== undefined && owner !== accountExternalId))
    throw refused('adopt_not_editable', owner === accountExternalId ? 'Meta says that it may not be edited.' : `It belongs to the ad account ${owner}.`)
  if (far.state === 'flagged') {
    const fields = listOf(node.fields_violating_integrity_policy).join(', ')
    throw refused('audience_flagged', `Meta flagged it${fields === '' ? '' : ` for its ${fields}`}.`)
  }
  if ((node.is_value_based === true) !== valueBased)
    throw refused('adopt_setting', `settings.valueBased has to be ${!valueBased}: the audience is ${valueBased ? 'not ' : ''}value-based.`)
  return far
}

const refused = (code: Code, message: string): DestinationError =>
  new DestinationError({ kind: code === 'audience_missing' ? 'gone' : code === 'audience_flagged' ? 'integrity' : 'invalid', code, message })
