/**
 * What a look found becomes state, in one transaction under the audience's row: the findings, the size, a line of history for each that is new
 * or over, the status where it follows, and what the owner's policy wants done. Each is done once, when it is found first.
 */
import type { DriftPolicy } from '@audience-sync/contracts/rest/drift'
import type { Tx } from '@audience-sync/db/database'
import type { FarAudience } from '@audience-sync/destination-kit/contract'
import { matchRate } from '../match-rate.ts'
import { type Drift, type Finding, lookedAt, stopsUploads } from '../pure/drift.ts'
import { requestRun } from '../requests.ts'
import { tellFar } from '../store/far-state.ts'
import { type AudienceRow, readAudience } from '../store/rows.ts'
import { note, setStatus, tellChanged } from '../store/status.ts'
import { restStatus } from '../worker/close.ts'
import type { Engine } from '../worker/engine.ts'
import { sayEveryoneAgain } from '../worker/renew.ts'
import { type Judged, judge, tellLowMatch } from './low-match.ts'
import { foundMissing, missingOf, seenAgain } from './missing.ts'
import type { Seen } from './see.ts'

/** What is kept of a look. */
type Looked = Drift & { readonly match?: Judged }

/** Answers whether something is being put right. */
export async function recordLook(tx: Tx, engine: Engine, looked: AudienceRow, seen: Seen): Promise<boolean> {
  const { no } = looked
  await tx.query('SELECT FROM audience WHERE no = $1 FOR NO KEY UPDATE', [no])
  const audience = await readAudience(tx, no)
  if (audience.deleteRequestedAt !== null || audience.generation !== looked.generation || audience.externalId !== looked.externalId) return false
  const before = audience.drift as Looked | null
  if (seen.missing) {
    await store(tx, no, { checkedAt: new Date().toISOString(), findings: [], sound: before?.sound ?? null })
    await foundMissing(tx, no, seen.missing)
    return false
  }
  const { far } = seen
  // Renamed or told meanwhile: what was seen is older than what is written here.
  const told = looked.farStale || looked.name !== audience.name
  const drift = lookedAt(far, await here(tx, { ...audience, farStale: audience.farStale || told }, far), before, new Date())
  const rate = matchRate({ sizeDestination: far.size, sizeEligible: audience.sizeEligible }, engine.destination.manifest.sizeFloor)
  const match = judge(before?.match, { rate, finished: audience.status === 'active' }, new Date())
  await store(tx, no, { ...drift, match })
  await tellFar(tx, audience, far)
  if (rate !== null && match.low && !before?.match?.low) await tellLowMatch(tx, audience, rate)
  await tell(tx, audience, before, drift)
  // One that is disabled there is seen, and missing all the same.
  if (missingOf(audience) && !(missingOf(audience)?.code === 'audience_disabled' && far.state === 'disabled')) await seenAgain(tx, no)
  const fresh = drift.findings.filter(({ code }) => !before?.findings.some((one) => one.code === code))
  await follow(tx, audience, before, drift)
  for (const finding of fresh) if (finding.healing === 'automatic') await putRight(tx, engine, audience, far, finding)
  return fresh.some(({ healing }) => healing === 'automatic')
}

const store = (tx: Tx, no: number, drift: Looked) => tx.query('UPDATE audience SET drift = $2 WHERE no = $1', [no, JSON.stringify(drift)])

async function here(tx: Tx, { no, generation, name, farStale, adopted, driftPolicy }: AudienceRow, { size }: FarAudience) {
  const { renamed, size: onSize } = driftPolicy as DriftPolicy
  const { rows } =
    size === null
      ? { rows: [] }
      : await tx.query<{ people: number }>('SELECT count(*)::int AS people FROM ledger WHERE audience_no = $1 AND generation = $2', [no, generation])
  return { name, stale: farStale, adopted, policy: { renamed, size: onSize }, ledger: rows[0]?.people ?? null }
}

async function tell(tx: Tx, audience: AudienceRow, before: Drift | null, now: Drift): Promise<void> {
  const had = new Set(before?.findings.map(({ code }) => code))
  const has = new Set(now.findings.map(({ code }) => code))
  for (const { code, detail } of now.findings) if (!had.has(code)) await note(tx, audience, 'drift', { code, over: false, detail })
  for (const code of had) if (!has.has(code)) await note(tx, audience, 'drift', { code, over: true })
}

/** An audience that takes nothing is in error until it does; then whatever waited is said. */
async function follow(tx: Tx, audience: AudienceRow, before: Drift | null, now: Drift): Promise<void> {
  const stops = stopsUploads(now)
  if (stops) {
    const busy = audience.status === 'syncing' || audience.status === 'rate_limited' || missingOf(audience) !== null
    if (!busy) await setStatus(tx, audience, 'error', { code: stops.code, detail: stops.detail })
    return
  }
  const code = (audience.statusReason as { code?: string } | null)?.code
  const wasError = audience.status === 'error' && (code === 'audience_flagged' || code === 'audience_disabled')
  if (!wasError && !(before && stopsUploads(before))) return
  await restStatus(tx, audience.no)
  if (!audience.pausedAt) await requestRun(tx, { audience, trigger: 'heal', announce: false })
}

async function putRight(tx: Tx, engine: Engine, audience: AudienceRow, far: FarAudience, { code }: Finding): Promise<void> {
  if (code === 'audience_shrunk') await sayEveryoneAgain(tx, audience.no, 0)
  if (code !== 'audience_renamed') return
  if ((audience.driftPolicy as DriftPolicy).renamed === 'accept') return accept(tx, engine, audience, far.name.trim())
  await tx.query('UPDATE audience SET far_stale = true WHERE no = $1', [audience.no])
  if (!audience.pausedAt) await requestRun(tx, { audience, trigger: 'heal', announce: false })
}

/** Their name is ours from now on, where it can be. */
async function accept(tx: Tx, { destination }: Engine, audience: AudienceRow, name: string): Promise<void> {
  if (name === '' || name.length > destination.manifest.limits.nameLength) return
  await tx.query('UPDATE audience SET name = $2, version = version + 1, updated_at = now() WHERE no = $1', [audience.no, name])
  await tellChanged(tx, await readAudience(tx, audience.no))
}
