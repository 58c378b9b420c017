/** A changed normaliser makes the next run full by itself (`source.ts`); this makes that run, where nobody else asks for one. */
import { requestRun } from '../requests.ts'
import { audiencesToMigrate } from '../store/normaliser.ts'
import { readAudience } from '../store/rows.ts'
import { type Engine, inTenant } from './engine.ts'

/** How often somebody looks: the first look is at the start, which is when the version changes. */
export const MIGRATION_LOOK_MS = 60_000

export async function requestMigrations(engine: Engine): Promise<false> {
  const audiences = await engine.db.tx((tx) => audiencesToMigrate(tx, engine.destinationNo, engine.destination.manifest.normaliserVersion))
  for (const { no, tenantId } of audiences)
    await inTenant(engine, tenantId, async (tx) => requestRun(tx, { audience: await readAudience(tx, no), trigger: 'heal', announce: false }))
  return false
}
