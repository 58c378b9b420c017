/** Ad accounts: who may do what on them, their terms, tier and business. vendors/meta.md §3.5; field names from the published spec. */

import { permissionMissing } from './errors.ts'
import type { NodeType } from './fields.ts'
import { page, select } from './fields.ts'
import type { Call, Route } from './graph.ts'
import type { AccountSeed, Tier } from './options.ts'

export type Account = Required<Omit<AccountSeed, 'tasks'>> & { tasks: readonly string[] }

/** One account that works and one for each way in which an account does not. */
export const DEMO_ACCOUNTS: readonly AccountSeed[] = [
  { id: '1000000000000001', name: 'Demo Store' },
  { id: '1000000000000002', name: 'Demo Outlet (terms not signed)', terms: false },
  { id: '1000000000000003', name: 'Demo Reports (may only look)', tasks: ['ANALYZE'] },
  { id: '1000000000000004', name: 'Demo Closed (disabled)', status: 2 },
]
const MOST_CUSTOM = 500
const MOST_LOOKALIKES = 500
const DEMO_BUSINESS = { id: '2000000000000001', name: 'Demo Business' }

export const createAccounts = (seeds: readonly AccountSeed[], tier: Tier): Map<string, Account> =>
  new Map(
    seeds.map((seed) => [
      seed.id,
      {
        status: 1,
        tasks: ['MANAGE', 'ADVERTISE', 'ANALYZE', 'DRAFT'],
        terms: true,
        userTerms: true,
        businessTerms: true,
        audienceLimit: MOST_CUSTOM,
        lookalikeLimit: MOST_LOOKALIKES,
        cpuPercent: 0,
        timePercent: 0,
        tier,
        currency: 'EUR',
        timezoneName: 'Europe/Berlin',
        business: DEMO_BUSINESS,
        ...seed,
      },
    ]),
  )

/** Readable fields of the spec without a value here; asked for, they are left out like any field without one. */
const WITHOUT_VALUE =
  'ad_account_promotable_objects agency_client_declaration all_capabilities attribution_spec business_city business_country_code business_name business_state business_street business_street2 business_zip can_create_brand_lift_study custom_audience_info default_dsa_beneficiary default_dsa_payor end_advertiser end_advertiser_name existing_customers failed_delivery_checks fb_entity funding_source funding_source_details has_migrated_permissions io_number is_direct_deals_enabled is_notifications_enabled is_personal is_prepay_account line_numbers media_agency min_campaign_group_spend_cap min_daily_budget offsite_pixels_tos_accepted partner rf_spec spend_cap tax_id tax_id_status tax_id_type timezone_id timezone_offset_hours_utc viewable_business'
const VALUES = [
  'id',
  'account_id',
  'name',
  'account_status',
  'disable_reason',
  'currency',
  'timezone_name',
  'business',
  'owner_business',
  'owner',
  'user_tasks',
  'capabilities',
  'tos_accepted',
  'user_tos_accepted',
  'age',
  'amount_spent',
  'balance',
  'created_time',
]

const AD_ACCOUNT: NodeType = { name: 'AdAccount', known: new Set([...VALUES, ...WITHOUT_VALUE.split(' ')]), byDefault: ['account_id', 'id'] }

const show = (account: Account, call: Call) => {
  const person = call.token().type === 'USER'
  return {
    id: `act_${account.id}`,
    account_id: account.id,
    name: account.name,
    account_status: account.status,
    disable_reason: account.status === 2 ? 1 : 0,
    currency: account.currency,
    timezone_name: account.timezoneName,
    business: account.business ?? undefined,
    owner_business: account.business ?? undefined,
    owner: account.business?.id ?? call.token().userId,
    user_tasks: account.tasks,
    capabilities: [],
    tos_accepted: signatures(account.terms),
    user_tos_accepted: person ? signatures(account.terms && account.userTerms) : undefined,
    age: 365,
    amount_spent: '0',
    balance: '0',
    created_time: '2024-01-15T09:00:00+0100',
  }
}

/** Signed terms stand there with 1, others are missing. */
const signatures = (signed: boolean) => ({ web_custom_audience_tos: 1, ...(signed ? { custom_audience_tos: 1 } : {}) })

/** Reads keep the permissions for ads alive, and a look at an account's business the one for businesses. */
export const requireRead = (call: Call): void => {
  const { world, params } = call
  const token = call.token()
  const { scopes } = token
  if (!scopes.has('ads_read') && !scopes.has('ads_management'))
    throw permissionMissing('Ad account owner has NOT granted ads_management or ads_read permission')
  world.tokens.use(world.clock.now(), token, 'ads_read', 'ads_management')
  if (/\bbusiness\b/.test(params.text('fields') ?? '')) world.tokens.use(world.clock.now(), token, 'business_management')
}

export const accountRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'me/adaccounts',
    family: 'marketing',
    params: ['fields', 'limit', 'after', 'before'],
    handle: (call) => {
      requireRead(call)
      const fields = call.params.text('fields')
      const visible = Array.from(call.world.accounts.values()).filter(({ tasks }) => tasks.length > 0)
      return page(visible, call.params, call.url, (account) => select(show(account, call), AD_ACCOUNT, fields))
    },
  },
  {
    method: 'GET',
    path: ':account',
    family: 'marketing',
    params: ['fields'],
    handle: (call) => {
      requireRead(call)
      return select(show(call.account(), call), AD_ACCOUNT, call.params.text('fields'))
    },
  },
]
