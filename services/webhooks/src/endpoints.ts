/** Endpoints as rows, and as the API shows them. Every function runs in a transaction of the tenant. */
import { publicId, uuidOf } from '@audience-sync/contracts/ids'
import type { NewWebhookEndpoint, WebhookEndpoint, WebhookEndpointPatch } from '@audience-sync/contracts/rest/webhooks'
import { orm, type Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import { catalogue, isCode } from '@audience-sync/errors/catalogue'
import { asc, eq, gt, sql } from 'drizzle-orm'
import { setDue } from './claim.ts'
import { disable } from './outcome.ts'
import { endpoint } from './schema.ts'

export type EndpointRow = typeof endpoint.$inferSelect

const KEPT_AFTER_ROTATION = '24 hours' // both secrets sign: time for the receiver to take over the new one

export function endpointId(id: string): string {
  const uuid = uuidOf('webhookEndpoint', id)
  if (!uuid) throw missing()
  return uuid
}

const missing = () => new AppError('not_found', 'There is no such webhook endpoint.')

export function endpointJson(row: EndpointRow): WebhookEndpoint {
  const code = row.statusCode ?? ''
  const now = Date.now()
  const ahead = (time: Date | null) => (time && time.getTime() > now ? time.toISOString() : null)
  return {
    id: publicId('webhookEndpoint', row.id),
    url: row.url,
    description: row.description,
    eventTypes: row.eventTypes,
    status: row.status as WebhookEndpoint['status'],
    statusReason: isCode(code) ? { code, title: catalogue[code].title, solution: catalogue[code].solution, since: row.statusSince.toISOString() } : null,
    failingSince: row.failingSince?.toISOString() ?? null,
    pausedUntil: ahead(row.throttledUntil),
    previousSecretUntil: ahead(row.oldSecretUntil),
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  }
}

export interface NewEndpoint extends NewWebhookEndpoint {
  readonly tenantId: string
  /** Bare; chosen beforehand because the secret is sealed for it. */
  readonly id: string
  readonly sealedSecret: string
}

/** Throws `too_many_webhook_endpoints`; two that are made at once count each other. */
export async function insertEndpoint(tx: Tx, { tenantId, id, url, description, eventTypes, sealedSecret }: NewEndpoint, atMost: number): Promise<EndpointRow> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [JSON.stringify(['webhook endpoints', tenantId])])
  if ((await orm(tx).$count(endpoint)) >= atMost) throw new AppError('too_many_webhook_endpoints', `There may be ${atMost} webhook endpoints.`)
  const [row] = await orm(tx).insert(endpoint).values({ tenantId, id, url, description, eventTypes, secret: sealedSecret }).returning()
  return row as EndpointRow
}

export const listEndpoints = (tx: Tx, after: string | undefined, limit: number): Promise<EndpointRow[]> =>
  orm(tx)
    .select()
    .from(endpoint)
    .where(after === undefined ? undefined : gt(endpoint.id, after))
    .orderBy(asc(endpoint.id))
    .limit(limit)

export async function readEndpoint(tx: Tx, id: string): Promise<EndpointRow> {
  const [row] = await orm(tx).select().from(endpoint).where(eq(endpoint.id, id))
  if (!row) throw missing()
  return row
}

/** The same, held until the transaction ends. */
export async function lockEndpoint(tx: Tx, id: string): Promise<EndpointRow> {
  const [row] = await orm(tx).select().from(endpoint).where(eq(endpoint.id, id)).for('no key update')
  if (!row) throw missing()
  return row
}

/** Another URL, or enabled again: what went wrong before does not count any more. */
export async function patchEndpoint(tx: Tx, id: string, { url, description, eventTypes, enabled }: WebhookEndpointPatch): Promise<EndpointRow> {
  const { tenantId, status } = await lockEndpoint(tx, id)
  const again = enabled === true && status === 'disabled'
  await orm(tx)
    .update(endpoint)
    .set({
      ...(url !== undefined && { url }),
      ...(description !== undefined && { description }),
      ...(eventTypes !== undefined && { eventTypes }),
      ...((again || url !== undefined) && { failingSince: null, throttledUntil: null }),
      ...(again && { status: 'enabled', statusCode: null, statusSince: sql`now()` }),
      updatedAt: sql`now()`,
    })
    .where(eq(endpoint.id, id))
  if (enabled === false && status === 'enabled') await disable(tx, tenantId, id, 'webhook_disabled_by_user')
  await setDue(tx, tenantId, id)
  return readEndpoint(tx, id)
}

/** With its deliveries. */
export async function deleteEndpoint(tx: Tx, id: string): Promise<void> {
  const { rowCount } = await orm(tx).delete(endpoint).where(eq(endpoint.id, id))
  if (!rowCount) throw missing()
}

/** The old secret signs for another day. A second rotation within it ends the first one's. */
export async function rotateSecret(tx: Tx, id: string, sealedSecret: string): Promise<EndpointRow> {
  const [row] = await orm(tx)
    .update(endpoint)
    .set({
      oldSecret: endpoint.secret,
      oldSecretUntil: sql`now() + ${KEPT_AFTER_ROTATION}::interval`,
      secret: sealedSecret,
      updatedAt: sql`now()`,
    })
    .where(eq(endpoint.id, id))
    .returning()
  if (!row) throw missing()
  return row
}
