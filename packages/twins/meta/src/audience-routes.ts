/** Making, listing, reading, changing and deleting audiences: vendors/meta.md §4.1. Creation is not idempotent. */
import { requireRead } from './accounts.ts'
import { type Audience, deleteAudience, deliveryStatus, lookalikesOf, newAudience, operationStatus, sizeBounds, status, violations } from './audiences.ts'
import { createFailed, createNotPermitted, deleteRefused, flaggedFieldsStay, invalidParameter, missingParameter, unknownObject } from './errors.ts'
import { type NodeType, page, select } from './fields.ts'
import { type Call, mayEdit, type Route, requireWrite } from './graph.ts'
import { createLookalike } from './lookalikes.ts'
import { requireTerms } from './users.ts'

const FILE_SOURCES = ['USER_PROVIDED_ONLY', 'PARTNER_PROVIDED_ONLY', 'BOTH_USER_AND_PARTNER_PROVIDED'] as const
/** All of the spec's, so that a wrong one and one that is not modelled answer differently. */
const SUBTYPES =
  'APP BAG_OF_ACCOUNTS BIDDING CLAIM CUSTOM ENGAGEMENT EXCLUSION FOX LOOKALIKE MANAGED MEASUREMENT MESSENGER_SUBSCRIBER_LIST OFFLINE_CONVERSION PARTNER PRIMARY REGULATED_CATEGORIES_AUDIENCE STUDY_RULE_AUDIENCE VIDEO WEBSITE'.split(
    ' ',
  )
const PRODUCTS = ['ADS', 'MARKETING_MESSAGES'] as const
const RESTRICTIONS = ['NONE', 'EXCLUSION_ONLY'] as const

const SHARED_PARAMS = [
  'name',
  'description',
  'retention_days',
  'opt_out_link',
  'customer_file_source',
  'use_for_products',
  'use_in_campaigns',
  'audience_labels',
  'enable_fetch_or_create',
]
const CREATE_PARAMS = [...SHARED_PARAMS, 'subtype', 'is_value_based', 'usage_restriction', 'origin_audience_id', 'lookalike_spec']

const FIELDS =
  'account_id approximate_count_lower_bound approximate_count_upper_bound customer_file_source data_source data_source_types datafile_custom_audience_uploading_status delete_time delivery_status description excluded_custom_audiences external_event_source fields_violating_integrity_policy household_audience id included_custom_audiences is_eligible_for_sac_campaigns is_household is_snapshot is_value_based lookalike_audience_ids lookalike_spec messenger_marketing_messages_page name operation_status opt_out_link owner_business page_deletion_marked_delete_time permission_for_actions pixel_id regulated_audience_spec retention_days rev_share_policy_id rule rule_aggregation rule_v2 seed_audience sharing_status subtype time_content_updated time_created time_updated'
const CUSTOM_AUDIENCE: NodeType = { name: 'CustomAudience', known: new Set(FIELDS.split(' ')), byDefault: ['id'] }

const show = (audience: Audience, { world }: Call) => {
  const [lower, upper] = sizeBounds(world, audience)
  const account = world.accounts.get(audience.accountId)
  const lookalikes = lookalikesOf(world, audience).map(({ id }) => id)
  const edit = account !== undefined && mayEdit(account)
  return {
    id: audience.id,
    account_id: audience.accountId,
    name: audience.name,
    description: audience.description,
    subtype: audience.subtype,
    customer_file_source: audience.customerFileSource,
    data_source: audience.dataSource && { type: 'FILE_IMPORTED', sub_type: audience.dataSource },
    delivery_status: status(deliveryStatus(world, audience)),
    operation_status: status(operationStatus(world, audience)),
    approximate_count_lower_bound: lower,
    approximate_count_upper_bound: upper,
    time_created: Math.floor(audience.createdAt / 1000),
    time_updated: Math.floor(audience.updatedAt / 1000),
    time_content_updated: audience.contentUpdatedAt,
    is_value_based: audience.isValueBased,
    delete_time: audience.forced.deleteTime,
    retention_days: audience.retentionDays,
    opt_out_link: audience.optOutLink,
    owner_business: account?.business ?? undefined,
    fields_violating_integrity_policy: audience.flagged.length > 0 ? audience.flagged : undefined,
    permission_for_actions: {
      can_edit: edit,
      can_see_insight: true,
      can_share: edit,
      subtype_supports_lookalike: audience.subtype === 'CUSTOM',
      supports_recipient_lookalike: false,
    },
    lookalike_audience_ids: lookalikes.length > 0 ? lookalikes : undefined,
    lookalike_spec: audience.lookalike && {
      ...audience.lookalike.spec,
      key: undefined,
      origin: [{ id: audience.lookalike.originId, type: 'custom_audience' }],
    },
  }
}

const create = (call: Call) => {
  const { world, params } = call
  const account = call.account()
  if (!mayEdit(account)) throw createNotPermitted()
  requireWrite(call)
  requireTerms(call)
  const name = params.requiredText('name')
  const description = params.text('description') ?? ''
  const subtype = params.requiredText('subtype')
  const common = readSettings(call)
  if (subtype === 'LOOKALIKE') return { id: createLookalike(call, name, description).id, message: '' }
  if (!SUBTYPES.includes(subtype)) throw invalidParameter(`Param subtype must be one of {${SUBTYPES.join(', ')}}`, 'subtype')
  if (subtype !== 'CUSTOM') throw invalidParameter(`Audiences of subtype ${subtype} are not modelled here`, 'subtype')
  if (common.customerFileSource === undefined) throw missingParameter('customer_file_source')
  if (params.has('origin_audience_id') || params.has('lookalike_spec')) throw invalidParameter('lookalike_spec is for subtype LOOKALIKE', 'subtype')
  if (listed(call).filter((one) => one.subtype === 'CUSTOM').length >= account.audienceLimit)
    throw createFailed(`the ad account has ${account.audienceLimit} custom audiences`)
  return {
    id: newAudience(world, { ...common, accountId: account.id, subtype, name, description, isValueBased: params.flag('is_value_based') ?? false }).id,
    message: '',
  }
}

/** What creation and change have in common, checked by type. */
const readSettings = ({ params }: Call) => {
  params.oneOf('usage_restriction', RESTRICTIONS)
  params.listOf('use_for_products', PRODUCTS)
  params.listOf('audience_labels')
  params.flag('use_in_campaigns')
  params.flag('enable_fetch_or_create')
  return {
    customerFileSource: params.oneOf('customer_file_source', FILE_SOURCES),
    retentionDays: params.integer('retention_days', { min: 1, max: 180 }),
    optOutLink: params.text('opt_out_link'),
  }
}

/** The account's audiences, the newest first. */
const listed = (call: Call): Audience[] => {
  const account = call.account()
  return Array.from(call.world.audiences.values())
    .filter((audience) => audience.accountId === account.id && audience.deletedAt === undefined)
    .reverse()
}

/** @throws GraphError 100/33 for a deleted one: read and change do not tell it from one that never was */
const present = (call: Call): Audience => {
  const audience = call.audience()
  if (audience.deletedAt !== undefined) throw unknownObject(audience.id, call.method)
  return audience
}

const update = (call: Call) => {
  const audience = present(call)
  requireWrite(call)
  requireTerms(call)
  const { customerFileSource, retentionDays, optOutLink } = readSettings(call)
  const name = call.params.text('name') ?? audience.name
  const description = call.params.text('description') ?? audience.description
  const flagged = violations({ name, description })
  const stay = audience.flagged.filter((field) => flagged.includes(field) || !call.params.has(field))
  if (stay.length > 0) throw flaggedFieldsStay(stay)
  Object.assign(audience, { name, description, flagged, updatedAt: call.world.clock.now() })
  audience.customerFileSource = customerFileSource ?? audience.customerFileSource
  audience.retentionDays = retentionDays ?? audience.retentionDays
  audience.optOutLink = optOutLink ?? audience.optOutLink
  return { success: true, message: '' }
}

const remove = (call: Call) => {
  const audience = present(call)
  requireWrite(call)
  if (lookalikesOf(call.world, audience).length > 0) throw deleteRefused()
  deleteAudience(call.world, audience)
  return { success: true }
}

export const audienceRoutes: readonly Route[] = [
  { method: 'POST', path: ':account/customaudiences', family: 'marketing', params: CREATE_PARAMS, handle: create },
  {
    method: 'GET',
    path: ':account/customaudiences',
    family: 'marketing',
    params: ['fields', 'limit', 'after', 'before', 'business_id', 'fetch_primary_audience'],
    handle: (call) => {
      requireRead(call)
      const fields = call.params.text('fields')
      return page(listed(call), call.params, call.url, (audience) => select(show(audience, call), CUSTOM_AUDIENCE, fields))
    },
  },
  {
    method: 'GET',
    path: ':audience',
    family: 'marketing',
    params: ['fields', 'ad_account_id'],
    handle: (call) => {
      requireRead(call)
      return select(show(present(call), call), CUSTOM_AUDIENCE, call.params.text('fields'))
    },
  },
  { method: 'POST', path: ':audience', family: 'marketing', params: SHARED_PARAMS, handle: update },
  { method: 'DELETE', path: ':audience', family: 'marketing', params: [], handle: remove },
]
