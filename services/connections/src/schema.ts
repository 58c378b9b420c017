/**
 * Who may speak for whom. A connection is one consent at a destination, its credential what the consent was exchanged for;
 * an account is what the credential reaches there. Every table is the tenant's own (forced row-level security).
 */
import { sql } from 'drizzle-orm'
import { boolean, customType, foreignKey, index, integer, jsonb, pgTable, primaryKey, text, timestamp, uniqueIndex, uuid } from 'drizzle-orm/pg-core'

const at = (name: string) => timestamp(name, { withTimezone: true })
const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })

export const connection = pgTable(
  'connection',
  {
    tenantId: uuid('tenant_id').notNull(),
    id: uuid().notNull(),
    destination: text().notNull(),
    status: text().$type<'pending' | 'active' | 'expired' | 'revoked' | 'failed'>().notNull().default('pending'),
    /** Code of the catalogue; why it is not active. */
    statusCode: text('status_code'),
    statusDetail: text('status_detail'),
    statusSince: at('status_since').notNull().defaultNow(),
    /** Who began it: subject of the API credential. */
    createdBy: text('created_by').notNull(),
    /** The platform's id of who consented. */
    subject: text(),
    /** A notice from before this is about an older consent. */
    consentedAt: at('consented_at'),
    /** The platform shows nothing from here on without a new consent, however often the token is renewed. */
    accessEndsAt: at('access_ends_at'),
    /** That a system user's token speaks for. */
    businessId: text('business_id'),
    grantedScopes: text('granted_scopes').array().notNull().default([]),
    createdAt: at('created_at').notNull().defaultNow(),
    checkedAt: at('checked_at'),
    accountsAt: at('accounts_at'),
    /** Deleted for its tenant from here on; the row goes on until the platform has revoked. */
    deletedAt: at('deleted_at'),
    revokedAt: at('revoked_at'),
  },
  (table) => [
    primaryKey({ columns: [table.tenantId, table.id] }),
    index('connection_deleting').on(table.deletedAt).where(sql`deleted_at IS NOT NULL AND revoked_at IS NULL`),
  ],
)

/** At most one per connection. Tokens are sealed texts of the vault; nothing else here is secret. */
export const credential = pgTable(
  'credential',
  {
    tenantId: uuid('tenant_id').notNull(),
    connectionId: uuid('connection_id').notNull(),
    kind: text().notNull(),
    accessToken: text('access_token').notNull(),
    refreshToken: text('refresh_token'),
    expiresAt: at('expires_at'),
    renewAt: at('renew_at'),
    /** Counts exchanges and renewals, and the deletion: whoever writes names the one they read. */
    version: integer('credential_version').notNull(),
    /** A renewal was begun and has not been recorded: the process died, or the answer was lost. */
    refreshStartedAt: at('refresh_started_at'),
    /** The last renewal got no usable answer; the next waits a little. */
    refreshFailedAt: at('refresh_failed_at'),
    /** The platform refused the token; a second refusal within ten minutes ends the connection. */
    doubtedAt: at('doubted_at'),
  },
  (table) => [
    primaryKey({ columns: [table.tenantId, table.connectionId] }),
    foreignKey({ columns: [table.tenantId, table.connectionId], foreignColumns: [connection.tenantId, connection.id] }),
    index('credential_due').on(table.renewAt),
  ],
)

export const account = pgTable(
  'account',
  {
    tenantId: uuid('tenant_id').notNull(),
    id: uuid().notNull(),
    connectionId: uuid('connection_id').notNull(),
    destination: text().notNull(),
    externalId: text('external_id').notNull(),
    name: text().notNull(),
    /** The user chose it for exports. */
    selected: boolean().notNull().default(false),
    status: text().$type<'active' | 'disabled' | 'pending' | 'closed'>().notNull(),
    statusDetail: text('status_detail').notNull(),
    currency: text(),
    timeZone: text('time_zone'),
    business: jsonb().$type<{ id: string; name: string }>(),
    termsSigned: boolean('terms_signed').notNull(),
    userTermsSigned: boolean('user_terms_signed'),
    termsUrl: text('terms_url'),
    canManageAudiences: boolean('can_manage_audiences').notNull(),
    /** Of limits, where the platform has such. */
    tier: text(),
    /** The credential last reached it. */
    seenAt: at('seen_at').notNull().defaultNow(),
    /** It was there once and the credential no longer reaches it. */
    lostAt: at('lost_at'),
  },
  (table) => [
    primaryKey({ columns: [table.tenantId, table.id] }),
    uniqueIndex('account_external').on(table.tenantId, table.connectionId, table.externalId),
    index('account_by_external').on(table.tenantId, table.destination, table.externalId),
    foreignKey({ columns: [table.tenantId, table.connectionId], foreignColumns: [connection.tenantId, connection.id] }),
  ],
)

/** Which account an export goes to when it names none. */
export const defaultAccount = pgTable(
  'default_account',
  {
    tenantId: uuid('tenant_id').notNull(),
    destination: text().notNull(),
    scope: text().$type<'destination' | 'behavior' | 'behaviorKind' | 'purpose'>().notNull(),
    /** Id of the behavior, its kind, or the purpose; empty for the whole destination. */
    value: text().notNull().default(''),
    accountId: uuid('account_id').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.tenantId, table.destination, table.scope, table.value] }),
    foreignKey({ columns: [table.tenantId, table.accountId], foreignColumns: [account.tenantId, account.id] }),
  ],
)

/** People who asked the platform that we forget them. Nothing here says who. */
export const forgetting = pgTable('forgetting', {
  /** SHA-256 of the confirmation code, which only the platform and the person have. */
  codeHash: bytea('code_hash').primaryKey(),
  destination: text().notNull(),
  /** That rested on their consent. */
  connections: integer().notNull(),
  completedAt: at('completed_at').notNull().defaultNow(),
})

/** One consent under way. The state itself is only with the user's browser. */
export const oauthState = pgTable(
  'oauth_state',
  {
    /** SHA-256 of 32 random bytes. */
    stateHash: bytea('state_hash').primaryKey(),
    tenantId: uuid('tenant_id').notNull(),
    connectionId: uuid('connection_id').notNull(),
    userId: text('user_id').notNull(),
    destination: text().notNull(),
    redirectUri: text('redirect_uri').notNull(),
    returnUrl: text('return_url').notNull(),
    /** PKCE verifier, sealed; null where the platform takes none (Meta). */
    verifier: text(),
    createdAt: at('created_at').notNull().defaultNow(),
    usedAt: at('used_at'),
  },
  (table) => [
    index('oauth_state_age').on(table.tenantId, table.createdAt),
    foreignKey({ columns: [table.tenantId, table.connectionId], foreignColumns: [connection.tenantId, connection.id] }),
  ],
)
