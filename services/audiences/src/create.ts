/** A checked audience becomes rows: the audience, its first run, and the word to everyone, in one transaction. */
import { newUuid } from '@audience-sync/contracts/ids'
import { orm, type Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import { traceparent } from '@audience-sync/service/otel'
import { requestRun } from '@audience-sync/sync-engine/requests'
import { audience } from '@audience-sync/sync-engine/schema/audience'
import { type AudienceRow, readAudience } from '@audience-sync/sync-engine/store/rows'
import { note } from '@audience-sync/sync-engine/store/status'
import type { CheckedAudience } from './check-new.ts'
import { claimName } from './name-taken.ts'
import { wantSizeCheck } from './size-check.ts'
import { announceAudience } from './store.ts'
import { defaultCountryOf, holdDefaultCountry } from './tenant-default.ts'

export async function createAudience(tx: Tx, tenantId: string, checked: CheckedAudience, campaignRef: string | null): Promise<AudienceRow> {
  const { asked, manifest, settings, minimumSize, eligible } = checked
  await claimName(tx, checked.accountId, asked.name, manifest.limits.nameLength)
  await claimPlace(tx, checked)
  const tooSmall = eligible < minimumSize
  await holdDefaultCountry(tx, tenantId)
  const row = await insert(tx, {
    id: newUuid(),
    tenantId,
    tenantNo: await numberOf(tx, 'tenant', tenantId),
    destination: asked.destination,
    destinationNo: await numberOf(tx, 'destination', asked.destination),
    behaviorId: checked.behaviorId,
    connectionId: checked.connectionId,
    accountId: checked.accountId,
    accountExternalId: checked.accountExternalId,
    name: asked.name,
    description: asked.description,
    purpose: asked.purpose,
    campaignRef,
    schedule: asked.schedule,
    identifiers: asked.identifiers,
    transformations: asked.transformations,
    retryPolicy: asked.retryPolicy,
    brake: asked.brake,
    driftPolicy: asked.drift,
    minimumSize,
    settings,
    defaultCountry: await defaultCountryOf(tx, tenantId),
    externalId: asked.adopt?.externalId ?? null,
    adopted: asked.adopt !== null,
    status: tooSmall ? 'paused' : 'pending',
    statusReason: tooSmall ? { code: 'audience_too_small' } : null,
    tooSmall,
    sizeBehavior: checked.members,
    // The count stopped at the minimum: only below it is it the whole truth.
    sizeEligible: tooSmall ? eligible : null,
    sizeAsOf: new Date(),
  })
  // The history begins here: what follows are changes.
  await note(tx, row, 'status', { from: null, to: row.status, code: tooSmall ? 'audience_too_small' : null })
  if (tooSmall) await note(tx, row, 'size', { behavior: checked.members, eligible })
  if (asked.start && !tooSmall) await requestRun(tx, { audience: row, trigger: 'created', traceparent: traceparent() })
  await announceAudience(tx, row.no, 'created')
  await wantSizeCheck(tx, [row])
  return readAudience(tx, row.no)
}

/**
 * Room in the account, and nobody else on the far audience to adopt. Of one far account there may be several of ours, one for each
 * connection. What other tools made there we do not know: that the connector meets.
 */
async function claimPlace(tx: Tx, { asked, manifest, accountExternalId }: CheckedAudience): Promise<void> {
  // Two who ask at once wait for each other.
  await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('far account ' || $1 || ' ' || $2, 0))`, [asked.destination, accountExternalId])
  const { rows } = await tx.query<{ far: string | null }>(
    'SELECT external_id AS far FROM audience WHERE destination = $1 AND account_external_id = $2 AND deleted_at IS NULL',
    [asked.destination, accountExternalId],
  )
  const { audiencesPerAccount } = manifest.limits
  if (asked.adopt) {
    if (rows.some(({ far }) => far === asked.adopt?.externalId)) throw farTaken()
  } else if (rows.length >= audiencesPerAccount)
    throw new AppError('audience_limit', `The account has ${rows.length} audiences of ours; ${manifest.title} allows ${audiencesPerAccount}.`, {
      extra: { limit: audiencesPerAccount, used: rows.length },
    })
}

const farTaken = () => new AppError('conflict', 'That audience of the destination is kept in step by another audience already.')

async function insert(tx: Tx, values: typeof audience.$inferInsert): Promise<AudienceRow> {
  try {
    const [row] = await orm(tx).insert(audience).values(values).returning()
    return row as AudienceRow
  } catch (error) {
    const { constraint } = ((error as Error).cause ?? error) as { constraint?: string }
    if (constraint === 'audience_far') throw farTaken()
    throw error
  }
}

/** The narrow number of a tenant or destination, made on first use. */
async function numberOf(tx: Tx, table: 'tenant' | 'destination', id: string): Promise<number> {
  for (;;) {
    const { rows } = await tx.query<{ no: number }>(`SELECT no FROM ${table} WHERE id = $1`, [id])
    if (rows[0]) return rows[0].no
    await tx.query(`INSERT INTO ${table} (id) VALUES ($1) ON CONFLICT (id) DO NOTHING`, [id])
  }
}
