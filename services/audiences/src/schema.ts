/** What audiences keeps for itself in schema `sync`; the tables that it shares with the connectors are the sync engine's. */
import type { Plan, PlanCounts } from '@audience-sync/contracts/rest/plans'
import { sql } from 'drizzle-orm'
import { customType, index, integer, jsonb, pgTable, smallint, text, timestamp, uuid } from 'drizzle-orm/pg-core'

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })
const at = (name: string) => timestamp(name, { withTimezone: true })

/** When each audience's people are to be counted: the count is an HTTP call, which no transaction should wait for. */
export const sizeCheck = pgTable(
  'size_check',
  {
    audienceNo: integer('audience_no').primaryKey(),
    tenantId: uuid('tenant_id').notNull(),
    /** null: nothing is wished. Claimed by being moved on; what is claimed and not finished comes up again. */
    dueAt: at('due_at'),
    /** Of the last wish: one that came while the count was under way has it counted again. */
    wantedAt: at('wanted_at').notNull().defaultNow(),
    /** When everyone was counted last; between, counts stop at the minimum. */
    countedAt: at('counted_at'),
  },
  (t) => [index('size_check_due').on(t.dueAt).where(sql`due_at IS NOT NULL`)],
)

/** From tenant.changed: the country by which national phone numbers are read. */
export const tenantDefault = pgTable('tenant_default', {
  tenantId: uuid('tenant_id').primaryKey(),
  defaultCountry: text('default_country'),
  /** Of the event: older ones are old news. */
  occurredAt: at('occurred_at').notNull(),
})

/** What a run would have done, for an hour: figures and a digest, nobody's name (`plan/`). */
export const plan = pgTable(
  'plan',
  {
    id: uuid('id').primaryKey(),
    tenantId: uuid('tenant_id').notNull(),
    audienceNo: integer('audience_no').notNull(),
    createdAt: at('created_at').notNull(),
    expiresAt: at('expires_at').notNull(),
    mode: text('mode').notNull(),
    /** Where the feed stood, and the audience in it. */
    epoch: text('epoch').notNull(),
    bound: text('bound').notNull(),
    cursor: text('cursor').notNull(),
    configVersion: integer('config_version').notNull(),
    generation: smallint('generation').notNull(),
    /** Of everyone who would be said, how, and with which fingerprint. */
    digest: bytea('digest').notNull(),
    counts: jsonb('counts').$type<PlanCounts>().notNull(),
    hold: jsonb('hold').$type<Record<string, unknown>>(),
    /** What is shown besides. */
    shown: jsonb('shown').$type<Pick<Plan, 'suppressedBy' | 'identifiers' | 'apiCalls' | 'expectedSeconds' | 'quota' | 'sampleRequests'>>().notNull(),
    /** The run that applied it. */
    runId: uuid('run_id'),
  },
  (t) => [index('plan_by_age').on(t.createdAt)],
)
