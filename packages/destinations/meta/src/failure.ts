/** An answer, or the lack of one → the failure that the engine acts upon. */
import type { Failure } from '@audience-sync/destination-kit/failure'
import type { HttpAnswer } from '@audience-sync/http/client'
import type { HttpFailure } from '@audience-sync/http/failure'
import { type ErrorRow, rowOf } from './error-table.ts'
import { isRecord, listOf, numberOf, parseJson, textOf } from './json.ts'
import { withoutSecrets } from './mask.ts'
import { readUsage } from './usage.ts'

export interface CallKind {
  /** The call carries rows: `POST` or `DELETE …/users`. */
  readonly upload: boolean
  /** Without `act_`. */
  readonly accountExternalId: string
  readonly accessToken: string
}

/** Raised when Meta says something that nobody described to us, warns that an API version ends, or takes what we do for abuse. */
export interface Alarm {
  readonly kind: 'unknown_error_code' | 'version_warning' | 'abnormal_traffic' | 'redirect'
  readonly detail: string
  /** Of the API, as called. With `version_warning`. */
  readonly version?: string
}

/** How long the breaker stays open. */
const breakerOpenMs = 30_000

export const termsUrl = (accountExternalId: string): string => `https://business.facebook.com/ads/manage/customaudiences/tos/?act=${accountExternalId}`

/** Meta's error envelope, which can come with status 200, too. */
interface Envelope {
  readonly code: number
  readonly subcode: number | undefined
  readonly message: string
  readonly traceId: string | undefined
  /** Parameters that Meta blames, each as a path: `payload.data`. */
  readonly blamed: readonly string[]
}

function blamed(data: unknown): string[] {
  const parsed: unknown = typeof data === 'string' ? parseJson(data) : data
  const specs = isRecord(parsed) ? listOf(parsed.blame_field_specs) : []
  return specs.map((path) => (Array.isArray(path) ? path.join('.') : String(path)))
}

export function envelopeOf(body: unknown): Envelope | undefined {
  const error = isRecord(body) ? body.error : undefined
  const code = isRecord(error) ? numberOf(error.code) : undefined
  if (!isRecord(error)) return undefined
  return {
    // An envelope without a code is an unknown one.
    code: code ?? Number.NaN,
    subcode: numberOf(error.error_subcode) || undefined,
    // An expired token comes without a message for users.
    message: wordsOf(textOf(error.error_user_title), textOf(error.error_user_msg)) ?? textOf(error.message) ?? 'Meta gave no reason.',
    traceId: textOf(error.fbtrace_id),
    blamed: blamed(error.error_data),
  }
}

/** What Meta says to people: title and text, or the one that is there. */
const wordsOf = (title: string | undefined, text: string | undefined): string | undefined =>
  title !== undefined && text !== undefined ? `${title}: ${text}` : (text ?? title)

/** With a row to blame, splitting can help; with the session or the schema it cannot. */
const rowsToBlame = (fields: readonly string[]): boolean => fields.length === 0 || fields.some((field) => /payload|data/.test(field))

function ofRow(
  row: ErrorRow,
  envelope: Envelope,
  regainAfterMs: number | undefined,
  call: CallKind,
): Pick<Failure, 'kind' | 'code' | 'retryAfterMs' | 'link' | 'quota'> {
  const rows = row.rowsOnUpload && call.upload && rowsToBlame(envelope.blamed)
  const waitMs = Math.max(regainAfterMs ?? row.waitMs ?? 0, row.minWaitMs ?? 0)
  return {
    kind: rows ? 'rows' : row.kind,
    code: rows ? 'platform_rejected_row' : row.code,
    ...(waitMs > 0 && { retryAfterMs: waitMs }),
    ...(row.quota && { quota: row.quota }),
    ...(row.termsLink && { link: termsUrl(call.accountExternalId) }),
  }
}

/** Status and body of an answer; undefined when it is a success whose body is an object. */
export function failureOf(answer: HttpAnswer, call: CallKind, alarm: (alarm: Alarm) => void): Failure | undefined {
  const body = answer.json()
  const envelope = envelopeOf(body)
  if (envelope === undefined) {
    // Somebody stands between us and Meta, or Meta has moved (RELIABILITY.md §2b).
    if (answer.status >= 300 && answer.status < 400) alarm({ kind: 'redirect', detail: `http_${answer.status}` })
    return withoutEnvelope(answer.status, isRecord(body))
  }
  const { code, subcode, blamed: fields } = envelope
  const named = Number.isNaN(code) ? 'none' : subcode === undefined ? String(code) : `${code}/${subcode}`
  const row = rowOf(code, subcode)
  if (row === undefined) alarm({ kind: 'unknown_error_code', detail: named })
  if (row?.alarm) alarm({ kind: 'abnormal_traffic', detail: named })
  const { regainAfterMs } = readUsage(answer.headers)
  const message = withoutSecrets(envelope.message, call.accessToken)
  return {
    // What nobody described was not done, as far as we know; it is never taken for a success (RELIABILITY.md §2b).
    ...(row === undefined ? { kind: 'unavailable', code: 'destination_unavailable' } : ofRow(row, envelope, regainAfterMs, call)),
    message: `Meta answered ${named}: ${message}${fields.length > 0 ? ` (${fields.join(', ')})` : ''}`,
    platform: { code: named, message, ...(envelope.traceId !== undefined && { requestId: envelope.traceId }) },
  }
}

/** Proxies and front ends answer without the envelope, mostly in HTML. */
function withoutEnvelope(status: number, isObject: boolean): Failure | undefined {
  const failure = (kind: Failure['kind'], code: Failure['code'], message: string): Failure => ({ kind, code, message, platform: { code: `http_${status}` } })
  if (status >= 200 && status < 300) return isObject ? undefined : badReply('Meta answered with success, but not with JSON.')
  if (status >= 300 && status < 400) return failure('blocked', 'platform_bad_reply', 'Meta answered with a redirect, which is never followed.')
  if (status === 413) return failure('rows', 'payload_too_large', 'The batch is too large for Meta’s front end.')
  if (status === 429) return failure('throttled', 'platform_throttled', 'Meta’s front end takes no more calls for now.')
  // 503, and what a front end answers by itself, did not reach the service; other server errors may come after the work.
  if (status < 500 || status === 503) return failure('unavailable', 'destination_unavailable', `Meta’s front end answered ${status}.`)
  return failure('unknown', 'destination_unavailable', `Meta answered ${status} without saying whether the request was done.`)
}

/** A success that cannot be understood may be one. */
export const badReply = (message: string): Failure => ({ kind: 'unknown', code: 'platform_bad_reply', message })

/** No answer came. */
export function failureOfSilence({ phase, message }: HttpFailure): Failure {
  switch (phase) {
    case 'not_sent':
      return { kind: 'unavailable', code: 'destination_unavailable', message }
    case 'breaker_open':
      return { kind: 'unavailable', code: 'destination_unavailable', message, retryAfterMs: breakerOpenMs }
    case 'sent':
    case 'aborted':
      return { kind: 'unknown', code: 'destination_unavailable', message }
  }
}
