/**
 * One call to Meta: sent with the token in a header and the proof beside it, recorded without either, its quotas reported,
 * and its answer a plain object, or thrown as a `DestinationError`.
 */
import type { Context } from '@audience-sync/destination-kit/contract'
import { DestinationError } from '@audience-sync/destination-kit/failure'
import type { GuardedClient, HttpAnswer } from '@audience-sync/http/client'
import { HttpFailure } from '@audience-sync/http/failure'
import { type Alarm, badReply, type CallKind, envelopeOf, failureOf, failureOfSilence } from './failure.ts'
import { isRecord } from './json.ts'
import { masked, withoutSecrets } from './mask.ts'
import { readUsage } from './usage.ts'

/** All that the adapter needs of the outbound client. */
export type Http = Pick<GuardedClient, 'request'>

export interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** With version: `/v26.0/123/users`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
  /** What the calls log shows of the request. */
  readonly shown: unknown
  /** The call carries rows. */
  readonly upload?: boolean
}

export interface Reply {
  readonly body: Readonly<Record<string, unknown>>
  /** Meta's clock, from the answer's `Date` (SYNC.md C20). */
  readonly date: Date
  readonly requestId: string | null
}

export type Graph = (ctx: Context, call: Call) => Promise<Reply>

/** The warning stands on every answer; once an hour is enough to be heard. */
const warnEveryMs = 3_600_000

export function createGraph(http: Http, alarm: (alarm: Alarm) => void): Graph {
  const warned = new Map<string, number>()
  const warn = (detail: string, version: string): void => {
    if (Date.now() - (warned.get(detail) ?? Number.NEGATIVE_INFINITY) < warnEveryMs) return
    warned.set(detail, Date.now())
    alarm({ kind: 'version_warning', detail, version })
  }
  return async (ctx, call) => {
    const startedAt = new Date()
    const kind: CallKind = { upload: call.upload ?? false, accountExternalId: ctx.accountExternalId, accessToken: ctx.accessToken }
    const answer = await send(http, ctx, call).catch((error: unknown) => {
      if (!(error instanceof HttpFailure)) throw error
      ctx.onCall({ ...shown(call, startedAt), durationMs: Date.now() - startedAt.getTime(), status: null, response: null, platformRequestId: null })
      throw new DestinationError(failureOfSilence(error), error)
    })
    const body = answer.json()
    const warning = answer.headers['x-ad-api-version-warning']
    const requestId = envelopeOf(body)?.traceId ?? answer.headers['x-fb-trace-id'] ?? answer.headers['x-fb-request-id'] ?? null
    ctx.onCall({
      ...shown(call, startedAt),
      durationMs: answer.durationMs,
      status: answer.status,
      response: isRecord(body)
        ? { ...(masked(body, ctx.accessToken) as object), ...(warning !== undefined && { platformWarning: withoutSecrets(warning, ctx.accessToken) }) }
        : `${answer.body.length} bytes that are no JSON object`,
      platformRequestId: requestId,
    })
    for (const usage of readUsage(answer.headers).usages) ctx.onUsage(usage)
    if (warning !== undefined) warn(warning, call.path.split('/')[1] ?? '')
    const failure = failureOf(answer, kind, alarm)
    if (failure !== undefined) throw new DestinationError(failure)
    return { body: body as Record<string, unknown>, date: answer.date ?? new Date(), requestId }
  }
}

const shown = (call: Call, startedAt: Date) => ({ method: call.method, path: call.path, startedAt, request: call.shown })

function send(http: Http, ctx: Context, call: Call): Promise<HttpAnswer> {
  return http.request({
    method: call.method,
    path: call.path,
    // Never the token: addresses end up in logs.
    query: { ...call.query, ...(ctx.proof !== undefined && { appsecret_proof: ctx.proof }) },
    headers: { ...call.headers, authorization: `Bearer ${ctx.accessToken}` },
    body: call.body,
    signal: ctx.signal,
    timeoutMs: ctx.callTimeoutMs,
    key: ctx.accountExternalId,
  })
}

/** A member that a success must have. */
export function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new DestinationError(badReply(`Meta answered with success, but without ${name}.`))
  return value
}
