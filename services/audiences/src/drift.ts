/**
 * What changed at the far side without us: shown, looked at again, and answered. The look and the healing are a connector's; here are the
 * wishes (SYNC.md C15) and the words.
 */
import { type Drift, DriftPolicy } from '@audience-sync/contracts/rest/drift'
import type { Tx } from '@audience-sync/db/database'
import { AppError } from '@audience-sync/errors/app-error'
import { missingOf } from '@audience-sync/sync-engine/drift/missing'
import type { Drift as Looked } from '@audience-sync/sync-engine/pure/drift'
import { requestCheck, requestHeal } from '@audience-sync/sync-engine/requests'
import { type AudienceRow, type RunRow, readAudience, readRun } from '@audience-sync/sync-engine/store/rows'
import { setStatus } from '@audience-sync/sync-engine/store/status'
import { refuseDeleting } from './actions.ts'
import { wordsOf } from './reasons.ts'
import { announceAudience, findAudience, lockAudience } from './store.ts'

/** A far audience that is missing is not among what a look finds: a run may have found it, and it stands beside. */
export function driftOf(row: AudienceRow): Drift {
  const looked = row.drift as Looked | null
  const missing = missingOf(row)
  const found = missing
    ? [{ code: missing.code, detail: missing.detail ?? '', since: missing.since, healing: row.healRequestedAt ? ('automatic' as const) : ('asks' as const) }]
    : (looked?.findings ?? [])
  return {
    checkedAt: looked?.checkedAt ?? null,
    findings: found.map((one) => ({ ...wordsOf(one.code), ...one })),
    policy: DriftPolicy.parse(row.driftPolicy),
  }
}

/** Asks a connector to look at the far side, soon. */
export async function check(tx: Tx, audienceId: string): Promise<AudienceRow> {
  const row = await findAudience(tx, audienceId)
  refuseDeleting(row)
  if (row.externalId === null) throw new AppError('conflict', 'There is nothing at the destination yet.')
  await requestCheck(tx, row.no)
  return readAudience(tx, row.no)
}

/** The answer yes: a new audience in place of the one that is missing or disabled there, and everyone said to it. */
export async function heal(tx: Tx, audienceId: string): Promise<RunRow> {
  const row = await lockAudience(tx, audienceId)
  refuseDeleting(row)
  if (row.pausedAt) throw new AppError('audience_paused', 'The audience is paused.')
  const asked = driftOf(row).findings.find(({ healing }) => healing === 'asks')
  if (!asked && !row.healRequestedAt) throw new AppError('nothing_to_heal', 'Nothing at the destination asks for healing.')
  if (asked && !missingOf(row)) await markMissing(tx, row, asked)
  const { no } = await requestHeal(tx, row)
  await setStatus(tx, row, 'syncing')
  await announceAudience(tx, row.no, 'changed')
  return readRun(tx, no)
}

/** What is there, and of no use: it is left as one that may still live. */
const markMissing = (tx: Tx, row: AudienceRow, { code, detail, since }: Drift['findings'][number]) =>
  tx.query('UPDATE audience SET missing = $2 WHERE no = $1', [row.no, JSON.stringify({ code, detail, since, proven: false })])
