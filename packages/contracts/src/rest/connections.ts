/** REST shapes of connections, accounts and default accounts (API.md). */
import { z } from 'zod'
import { zId } from '../ids.ts'

const time = z.iso.datetime()
const destination = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,31}$/)
  .meta({ description: 'id of a destination', example: 'meta' })
const externalId = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[\w.:-]+$/)

export const ConnectionStatus = z.enum(['pending', 'active', 'expired', 'revoked', 'failed'])

/** What is the matter and what to do (R8). */
export const Reason = z.object({ code: z.string(), title: z.string(), detail: z.string(), solution: z.string(), since: time })

export const Connection = z
  .object({
    id: zId('connection'),
    destination: z.string(),
    status: ConnectionStatus,
    statusReason: Reason.nullable(),
    grantedScopes: z.array(z.string()),
    createdAt: time,
    checkedAt: time.nullable().meta({ description: 'when the platform last answered for it' }),
    expiresAt: time.nullable().meta({ description: 'when the consent ends unless it is renewed; null: it does not' }),
    renewAt: time.nullable().meta({ description: 'when we renew it by ourselves' }),
    reconnectBy: time.nullable().meta({ description: 'the user has to connect again before this, or exports stop; null: nothing says so' }),
    businessId: z.string().nullable().meta({ description: 'the business that a system user’s token speaks for, where the platform names it' }),
  })
  .meta({ id: 'Connection' })
export type Connection = z.infer<typeof Connection>

/** Meta: `business` (Facebook Login for Business, where the installation has a configuration) or `classic`. */
const login = z
  .string()
  .regex(/^[a-z_]{1,32}$/)
  .optional()
  .meta({ description: 'which of the platform’s dialogs; the installation’s usual one unless given', example: 'classic' })

export const BeginConnection = z.strictObject({
  destination,
  login,
  returnUrl: z.url().max(2_048).meta({ description: 'where the browser goes in the end; on the installation’s list' }),
})

export const Reconnect = z.strictObject({ login, returnUrl: z.url().max(2_048) })

export const BegunConnection = z
  .object({ id: zId('connection'), status: ConnectionStatus, authorizeUrl: z.url().meta({ description: 'send the user’s browser here within 10 minutes' }) })
  .meta({ id: 'BegunConnection' })

export const CallbackParams = z.object({ destination })

/** Platforms add parameters of their own, so unknown ones are let through and ignored. */
export const CallbackQuery = z.object({
  state: z.string().max(256).optional(),
  code: z.string().max(4_096).optional(),
  error: z.string().max(256).optional(),
})

/** What platforms post as a form when a person takes their access back, or wants to be forgotten. Meta: `signed_request`. */
export const NoticeForm = z.record(z.string().max(64), z.string().max(16_384))

/** Meta shows both to the person (vendors/meta.md §3.6). */
export const ForgettingBegun = z.object({ url: z.url(), confirmation_code: z.string() }).meta({ id: 'ForgettingBegun' })

export const ForgettingParams = z.object({ destination, code: z.string().regex(/^[\w-]{43}$/) })

export const Forgetting = z
  .object({
    destination: z.string(),
    status: z.enum(['completed']),
    connections: z.int().meta({ description: 'that rested on the person’s consent; their tokens and the person’s id were deleted' }),
    completedAt: time,
    text: z.string(),
  })
  .meta({ id: 'Forgetting' })
export type Forgetting = z.infer<typeof Forgetting>

export const Account = z
  .object({
    id: zId('account'),
    connectionId: zId('connection'),
    destination: z.string(),
    externalId: z.string().meta({ description: 'the platform’s id; Meta: without act_' }),
    name: z.string(),
    selected: z.boolean().meta({ description: 'may be exported to' }),
    status: z.enum(['active', 'disabled', 'pending', 'closed', 'lost']).meta({ description: 'at the platform; lost: the connection no longer reaches it' }),
    statusDetail: z.string(),
    currency: z.string().nullable(),
    timeZone: z.string().nullable(),
    business: z.object({ id: z.string(), name: z.string() }).nullable(),
    termsSigned: z.boolean(),
    userTermsSigned: z.boolean().nullable().meta({ description: 'by the person who connected, where the platform wants that as well' }),
    termsUrl: z.string().nullable(),
    canManageAudiences: z.boolean(),
    seenAt: time,
  })
  .meta({ id: 'Account' })
export type Account = z.infer<typeof Account>

export const SelectAccounts = z.strictObject({ selected: z.array(externalId).max(1_000) })

export const CheckItem = z.object({
  check: z.enum(['token', 'permissions', 'terms', 'eligibility']),
  ok: z.boolean(),
  accountId: z.string().nullable(),
  code: z.string().nullable(),
  title: z.string().nullable(),
  detail: z.string().nullable(),
  solution: z.string().nullable(),
  link: z.string().nullable(),
})
export type CheckItem = z.infer<typeof CheckItem>

export const ConnectionCheck = z
  .object({ id: zId('connection'), status: ConnectionStatus, ok: z.boolean(), checkedAt: time, checks: z.array(CheckItem) })
  .meta({ id: 'ConnectionCheck' })
export type ConnectionCheck = z.infer<typeof ConnectionCheck>

const purpose = z.enum(['targeting', 'exclusion', 'seed'])

/** Names at most one of behavior, kind and purpose; none: the whole destination. The narrowest wins, in the order given here. */
export const DefaultAccount = z
  .strictObject({
    destination,
    behaviorId: zId('behavior').optional(),
    purpose: purpose.optional(),
    behaviorKind: z.enum(['suggested', 'custom']).optional(),
    accountId: zId('account'),
  })
  .refine(({ behaviorId, purpose: of, behaviorKind }) => [behaviorId, of, behaviorKind].filter((given) => given !== undefined).length <= 1, {
    error: 'names more than one of behaviorId, purpose and behaviorKind',
  })
  .meta({ id: 'DefaultAccount' })
export type DefaultAccount = z.infer<typeof DefaultAccount>

export const SetDefaultAccounts = z.strictObject({ defaults: z.array(DefaultAccount).max(1_000) })
