/**
 * One trace from the REST call through the events to the platform's answer.
 *
 * `register.ts` starts tracing before anything else is loaded (`node --import @audience-sync/service/register`).
 * Between processes a trace travels as a W3C `traceparent`: in HTTP headers by itself, in the outbox and in stored work
 * as text, which `withTraceparent` takes up again. Trace ids exist whether or not anybody collects spans;
 * they are exported only where `OTEL_EXPORTER_OTLP_ENDPOINT` says where to. Without `register`, all of this does nothing.
 */
import { context, isSpanContextValid, ROOT_CONTEXT, type SpanContext, SpanStatusCode, trace } from '@opentelemetry/api'

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

const active = (): SpanContext | undefined => {
  const span = trace.getSpanContext(context.active())
  return span && isSpanContextValid(span) ? span : undefined
}

/** 32 hex digits, or undefined outside any trace. */
export const traceId = (): string | undefined => active()?.traceId

/** The W3C header of the current span, or undefined outside any trace. */
export function traceparent(): string | undefined {
  const span = active()
  return span && `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, '0')}`
}

/** Runs `fn` in a new span of the trace that a stored `traceparent` names; of a new trace when there is none or it is not one. */
export async function withTraceparent<T>(stored: string | null | undefined, name: string, fn: () => Promise<T>): Promise<T> {
  const [, id, spanId, flags] = TRACEPARENT.exec(stored ?? '') ?? []
  const parent =
    id && spanId && flags ? trace.setSpanContext(ROOT_CONTEXT, { traceId: id, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }) : ROOT_CONTEXT
  return trace.getTracer('audience-sync').startActiveSpan(name, {}, parent, async (span) => {
    try {
      return await fn()
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR }) // no message: it may carry personal data
      throw error
    } finally {
      span.end()
    }
  })
}
