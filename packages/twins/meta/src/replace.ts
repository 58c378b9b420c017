/**
 * `POST /{audience}/usersreplace`: vendors/meta.md §4.4, SYNC C21. Batch 1 begins it, and begins it anew when it comes twice; the last batch, or the
 * end of the 90 minutes, swaps the whole list for what has arrived by then. Meanwhile `/users` is refused.
 */
import type { Audience } from './audiences.ts'
import { operationStatus, requireUsable } from './audiences.ts'
import { updateFailed, uploadBlocked } from './errors.ts'
import { type Call, type Route, requireWrite } from './graph.ts'
import { createMembers, type Members } from './members.ts'
import { readPayload } from './payload.ts'
import { readSession } from './sessions.ts'
import { answer, requireSameSource, requireTerms, takeSession, UPLOAD_PARAMS } from './users.ts'
import type { World } from './world.ts'

const REPLACE_WINDOW_MS = 90 * 60_000

export type Replacement = { sessionId: string; endsAt: number; arrived: Members; finishing: boolean }

const replace = (call: Call) => {
  const { world } = call
  const audience = call.audience()
  requireWrite(call)
  requireUsable(world, audience)
  requireTerms(call)
  if (audience.subtype !== 'CUSTOM') throw updateFailed('only customer lists can be replaced')
  if (audience.flagged.length > 0) throw uploadBlocked()

  const payload = readPayload(call.params.json('payload'), false)
  if (payload.schema.includes('LOOKALIKE_VALUE') !== audience.isValueBased) throw updateFailed('a list cannot switch between value-based and plain')
  requireSameSource(audience, payload)
  const batch = readSession(call.params.json('session'), call.rawText)
  if (batch === undefined) throw updateFailed('batch_seq must begin with 1', 1870147)

  const current = audience.replacement
  if (batch.seq > 1) {
    if (current?.sessionId !== batch.id) throw ended(world, audience, batch.id)
    if (current.finishing) throw updateFailed('the replacement has finished', 1870159)
  } else {
    if (current !== undefined && (current.sessionId !== batch.id || current.finishing)) throw updateFailed('an update is in progress', 1870145)
    if (current === undefined && operationStatus(world, audience) !== 200) throw updateFailed('an update is in progress', 1870145)
  }

  const session = takeSession(call, 'replace', audience.id, payload)
  const replacement = batch.seq === 1 ? begin(world, audience, batch.id) : current
  if (replacement === undefined) throw updateFailed('batch_seq must begin with 1', 1870147)
  for (const row of payload.rows) replacement.arrived.add(row)
  if (batch.last) {
    replacement.finishing = true
    world.clock.at(world.clock.now() + world.settings.applyAfterMs, (at) => swap(audience, replacement, at))
  }
  return answer(session, payload, { account_id: audience.accountId, audience_id: audience.id })
}

/** A batch of a replacement that is not on: timed out, finished, or never begun. */
const ended = (world: World, audience: Audience, sessionId: string) => {
  const session = world.sessions.of(audience.id).find(({ id }) => id === sessionId)
  if (session === undefined) return updateFailed('batch_seq must begin with 1', 1870147)
  return session.last === undefined
    ? updateFailed('the replacement timed out after 90 minutes', 1870158)
    : updateFailed('the replacement has finished', 1870159)
}

const begin = (world: World, audience: Audience, sessionId: string): Replacement => {
  const replacement: Replacement = { sessionId, endsAt: world.clock.now() + REPLACE_WINDOW_MS, arrived: createMembers(world.people), finishing: false }
  audience.replacement = replacement
  world.clock.at(replacement.endsAt, (at) => swap(audience, replacement, at))
  return replacement
}

const swap = (audience: Audience, replacement: Replacement, at: number): void => {
  if (audience.replacement !== replacement) return
  audience.members = replacement.arrived
  audience.contentUpdatedAt = Math.floor(at / 1000)
  audience.replacement = undefined
}

export const replaceRoutes: readonly Route[] = [
  { method: 'POST', path: ':audience/usersreplace', family: 'marketing', users: 'add', params: UPLOAD_PARAMS, handle: replace },
]
