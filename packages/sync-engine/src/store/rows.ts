/** Rows as the engine reads them, and how it reads them. */
import type { Tx } from '@audience-sync/db/database'
import { orm } from '@audience-sync/db/database'
import { eq } from 'drizzle-orm'
import { audience } from '../schema/audience.ts'
import { batch } from '../schema/batch.ts'
import { run } from '../schema/run.ts'

export type AudienceRow = typeof audience.$inferSelect
export type RunRow = typeof run.$inferSelect
export type BatchRow = typeof batch.$inferSelect

export async function readAudience(tx: Tx, no: number): Promise<AudienceRow> {
  const [row] = await orm(tx).select().from(audience).where(eq(audience.no, no))
  if (!row) throw new Error(`Audience ${no} is not visible to this role.`)
  return row
}

export async function readRun(tx: Tx, no: number): Promise<RunRow> {
  const [row] = await orm(tx).select().from(run).where(eq(run.no, no))
  if (!row) throw new Error(`Run ${no} is not visible to this role.`)
  return row
}

export async function readBatch(tx: Tx, no: number): Promise<BatchRow> {
  const [row] = await orm(tx).select().from(batch).where(eq(batch.no, no))
  if (!row) throw new Error(`Batch ${no} is not visible to this role.`)
  return row
}
