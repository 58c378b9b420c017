/**
 * Adding and removing people: `/{audience}/users` and `/act_…/usersofanyaudience`, vendors/meta.md §4.3 and §4.4. The answer counts what was
 * received in the session so far and what was invalid in this call; who was found is never said.
 */
import type { Audience } from './audiences.ts'
import { requireUsable } from './audiences.ts'
import {
  audienceTooSmall,
  permissionMissing,
  termsNotSigned,
  termsNotSignedByBusiness,
  termsNotSignedByPerson,
  updateFailed,
  uploadBlocked,
  valueForPlain,
} from './errors.ts'
import type { Fault } from './faults.ts'
import { type Call, type Route, requireWrite } from './graph.ts'
import type { Row } from './members.ts'
import { type Payload, readPayload, refuseRow } from './payload.ts'
import { digits } from './random.ts'
import { type Batch, type Operation, readSession, type Session } from './sessions.ts'
import { ageRows, applyLater } from './uploads.ts'

export const UPLOAD_PARAMS = ['payload', 'session', 'namespace', 'customer_consent']
/** `apply_late` without a delay: the 60 s of RELIABILITY.md F11. */
const LATE_MS = 60_000

const change = (call: Call, operation: 'add' | 'remove') => {
  const { world } = call
  const audience = call.audience()
  requireWrite(call)
  requireUsable(world, audience)
  requireTerms(call)
  if (audience.subtype !== 'CUSTOM') throw updateFailed('only customer lists take people')
  if (audience.flagged.length > 0) throw uploadBlocked()
  if (audience.replacement !== undefined) throw updateFailed('an update is in progress', 1870145)

  const payload = readPayload(call.params.json('payload'), operation === 'add' && audience.isValueBased)
  if (operation === 'add' && !audience.isValueBased && payload.schema.includes('LOOKALIKE_VALUE')) throw valueForPlain()
  requireSameSource(audience, payload)
  spoilRows(payload, call.fault)
  if (operation === 'remove') refuseIfTooSmall(call, audience, payload.rows)

  const session = takeSession(call, operation, audience.id, payload)
  audience.dataSource ??= payload.source
  session.open += 1
  applyLater(
    world,
    audience,
    (at) => {
      audience.replaceFailed = false
      if (operation === 'add') ageRows(world, audience, payload.schema, at)
      return applyRows(audience, operation, payload.rows, at)
    },
    lateBy(call.fault),
    finish(session, audience),
  )
  return answer(session, payload, { audience_id: audience.id })
}

const removeEverywhere = (call: Call) => {
  const { world } = call
  const account = call.account()
  requireWrite(call)
  const payload = readPayload(call.params.json('payload'), false)
  spoilRows(payload, call.fault)
  const session = takeSession(call, 'remove_everywhere', account.id, payload)
  // Ignored without an error where the account stands in no portfolio or the terms are unsigned (§4.4).
  const heard = account.business !== null && account.terms && account.businessTerms && (account.userTerms || call.token().type !== 'USER')
  const audiences = heard
    ? Array.from(world.audiences.values()).filter((one) => one.accountId === account.id && one.subtype === 'CUSTOM' && one.deletedAt === undefined)
    : []
  const optOut = { at: world.clock.now(), accountId: account.id, rows: payload.rows.length, heard, removed: 0 }
  world.optOuts.push(optOut)
  for (const audience of audiences) {
    session.open += 1
    const removeRows = () => {
      const before = audience.members.size()
      applyRows(audience, 'remove', payload.rows)
      optOut.removed += before - audience.members.size()
      return audience.members.size() < before
    }
    applyLater(world, audience, removeRows, lateBy(call.fault), finish(session, undefined))
  }
  return answer(session, payload, {})
}

/** Terms are needed to make, edit and fill an audience (§3.5). */
export const requireTerms = (call: Call): void => {
  const account = call.account()
  if (!account.terms) throw termsNotSigned(account.id)
  if (!account.businessTerms) throw termsNotSignedByBusiness()
  if (!account.userTerms && call.token().type === 'USER') throw termsNotSignedByPerson()
}

export const requireSameSource = (audience: Audience, payload: Payload): void => {
  if (audience.dataSource !== undefined && audience.dataSource !== payload.source)
    throw updateFailed(`it was created from FILE_IMPORTED.${audience.dataSource}, which does not support ${payload.source}`)
}

/** The session of this call, counted up; one is made up where none was given. */
export const takeSession = (call: Call, operation: Operation, target: string, payload: Payload): Session => {
  const { world } = call
  const given: Batch | undefined = readSession(call.params.json('session'), call.rawText)
  const batch = given ?? { id: digits(world.random, 16), seq: 1, last: true }
  const session = world.sessions.take(batch, {
    accountId: call.account().id,
    target,
    operation,
    schema: payload.schema,
    digest: call.digest(),
    now: world.clock.now(),
  })
  session.received += payload.received
  session.invalid += payload.invalid
  return session
}

export const answer = (session: Session, payload: Payload, more: Record<string, unknown>) => ({
  ...more,
  session_id: session.id,
  num_received: session.received,
  num_invalid_entries: payload.invalid,
  // An empty map is written as an empty list by the platform's language.
  invalid_entry_samples: Object.keys(payload.samples).length === 0 ? [] : payload.samples,
})

const applyRows = (audience: Audience, operation: 'add' | 'remove', rows: readonly Row[], at = 0): boolean => {
  if (audience.deletedAt !== undefined) return false
  let changed = false
  for (const row of rows) if (operation === 'add' ? audience.members.add(row, at) : audience.members.remove(row) > 0) changed = true
  return changed
}

const refuseIfTooSmall = (call: Call, audience: Audience, rows: readonly Row[]): void => {
  if (call.fault?.kind === 'too_small') throw audienceTooSmall()
  const { minSize } = call.world.settings
  if (minSize === 0) return
  const hit = audience.members.hitBy(rows).size
  if (hit > 0 && audience.members.size() - hit < minSize) throw audienceTooSmall()
}

/** `reject_rows` names the rows that it refuses, `partial` only counts them (SYNC C24). */
export const spoilRows = (payload: Payload, fault: Fault | undefined): void => {
  if (fault?.kind !== 'reject_rows' && fault?.kind !== 'partial') return
  const { kind, rows } = fault
  const isMeant = (position: number) => (typeof rows === 'number' ? position < rows : rows.includes(position))
  const spoiled = payload.rows.filter((_, position) => isMeant(position))
  payload.rows = payload.rows.filter((_, position) => !isMeant(position))
  for (const row of spoiled) {
    if (kind === 'reject_rows') refuseRow(payload, row, 'invalid entry')
    else payload.invalid += 1
  }
}

const lateBy = (fault: Fault | undefined): number => (fault?.kind === 'apply_late' ? (fault.delayMs ?? LATE_MS) : 0)

/** "Many" of a session's entries: the vendor names no figure, so these are small ones. */
const MANY_INVALID = { rows: 10, share: 0.2 }

/** @param audience whose last session this was; none for a removal from everywhere */
export const finish = (session: Session, audience: Audience | undefined) => (at: number) => {
  session.open -= 1
  if (audience !== undefined) audience.manyInvalid = session.invalid >= Math.max(MANY_INVALID.rows, MANY_INVALID.share * session.received)
  if (session.open === 0 && session.last !== undefined) session.endedAt = at
}

const sessionsOf = (call: Call) => {
  const audience = call.audience()
  if (!call.token().scopes.has('ads_management')) throw permissionMissing('Ad account owner has NOT granted ads_management permission')
  const wanted = call.params.text('session_id')
  const data = call.world.sessions
    .of(audience.id)
    .filter(({ id }) => wanted === undefined || id === wanted)
    .map((session) => show(session, call.world))
  return { data }
}

/** A hint only: users see `uploading` and -1 long after the last batch, when everybody shows already (§4.3). */
const show = (session: Session, { clock, settings }: Call['world']) => {
  const done = session.endedAt !== undefined && clock.now() >= session.endedAt + settings.sessionLagMs
  return {
    session_id: session.id,
    stage: done ? 'complete' : 'uploading',
    progress: done ? '100' : '0',
    num_received: String(session.received),
    num_matched: done ? String(Math.round((session.received - session.invalid) * settings.matchRate)) : '-1',
    num_invalid_entries: String(session.invalid),
    start_time: String(Math.floor(session.startedAt / 1000)),
    ...(done ? { end_time: String(Math.floor((session.endedAt ?? 0) / 1000)) } : {}),
  }
}

export const userRoutes: readonly Route[] = [
  { method: 'POST', path: ':audience/users', family: 'marketing', users: 'add', params: UPLOAD_PARAMS, handle: (call) => change(call, 'add') },
  { method: 'DELETE', path: ':audience/users', family: 'marketing', users: 'remove', params: UPLOAD_PARAMS, handle: (call) => change(call, 'remove') },
  { method: 'DELETE', path: ':account/usersofanyaudience', family: 'marketing', users: 'remove', params: UPLOAD_PARAMS, handle: removeEverywhere },
  { method: 'GET', path: ':audience/sessions', family: 'marketing', params: ['session_id', 'fields', 'limit', 'after', 'before'], handle: sessionsOf },
]
