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
import { readSession, type Session } from './sessions.ts'
import { ageRows } from './uploads.ts'
import { answer, finish, requireSameSource, requireTerms, spoilRows, takeSession, UPLOAD_PARAMS } from './users.ts'
import type { World } from './world.ts'

/** Normal, and what only says how the last work ended: a failed replacement may be begun anew (§2, 2650/1870148). */
const READY: ReadonlySet<number> = new Set([200, 412, 415])
const REPLACE_WINDOW_MS = 90 * 60_000

export type Replacement = {
  sessionId: string
  endsAt: number
  arrived: Members
  schema: readonly string[]
  session: Session
  finishing: boolean
  failing: boolean
}

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
    if (current === undefined && !READY.has(operationStatus(world, audience))) throw updateFailed('an update is in progress', 1870145)
  }

  const session = takeSession(call, 'replace', audience.id, payload)
  const replacement = batch.seq === 1 ? begin(world, audience, session, payload.schema) : current
  if (replacement === undefined) throw updateFailed('batch_seq must begin with 1', 1870147)
  spoilRows(payload, call.fault)
  for (const row of payload.rows) replacement.arrived.add(row, world.clock.now())
  if (call.fault?.kind === 'replace_fails') replacement.failing = true
  if (batch.last) {
    replacement.finishing = true
    world.clock.at(world.clock.now() + world.settings.applyAfterMs, (at) => swap(world, audience, replacement, at))
  }
  return answer(session, payload, { account_id: audience.accountId, audience_id: audience.id })
}

/** A batch of a replacement that is not on: timed out, finished, or never begun. */
const ended = (world: World, audience: Audience, sessionId: string) => {
  const session = world.sessions.of(audience.id).find(({ id }) => id === sessionId)
  if (session === undefined) return updateFailed('batch_seq must begin with 1', 1870147)
  if (audience.replaceFailed) return updateFailed('the replacement was only done in part', 1870148)
  return session.last === undefined
    ? updateFailed('the replacement timed out after 90 minutes', 1870158)
    : updateFailed('the replacement has finished', 1870159)
}

const begin = (world: World, audience: Audience, session: Session, schema: readonly string[]): Replacement => {
  const replacement: Replacement = {
    sessionId: session.id,
    endsAt: world.clock.now() + REPLACE_WINDOW_MS,
    arrived: createMembers(world.people),
    schema,
    session,
    finishing: false,
    failing: false,
  }
  audience.replacement = replacement
  audience.replaceFailed = false
  world.clock.at(replacement.endsAt, (at) => swap(world, audience, replacement, at))
  return replacement
}

/** Unless it was begun anew meanwhile. A replacement that fails leaves the old list. */
const swap = (world: World, audience: Audience, replacement: Replacement, at: number): void => {
  if (audience.replacement !== replacement) return
  audience.replacement = undefined
  replacement.session.open += 1
  finish(replacement.session, audience)(at)
  audience.replaceFailed = replacement.failing
  if (replacement.failing || audience.deletedAt !== undefined) return
  audience.members = replacement.arrived
  ageRows(world, audience, replacement.schema, at)
  audience.contentUpdatedAt = Math.floor(at / 1000)
}

export const replaceRoutes: readonly Route[] = [
  { method: 'POST', path: ':audience/usersreplace', family: 'marketing', users: 'replace', params: UPLOAD_PARAMS, handle: replace },
]
