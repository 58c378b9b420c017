/**
 * The OpenTelemetry SDK, set up by hand: few instrumentations, and none that keeps query strings or bodies
 * (RELIABILITY.md §3.9). It has no signal handler of its own: `run.ts` ends it after everything else.
 */
import { FastifyOtelInstrumentation } from '@fastify/otel'
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http'
import { KafkaJsInstrumentation } from '@opentelemetry/instrumentation-kafkajs'
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg'
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici'
import { NodeSDK, type NodeSDKConfiguration } from '@opentelemetry/sdk-node'
import { register } from 'import-in-the-middle/register-hooks.mjs'

type SpanProcessor = NonNullable<NodeSDKConfiguration['spanProcessors']>[number]

const PROBES = new Set(['/livez', '/readyz'])
/** Whatever the version of the conventions calls an address, it is kept without its query: that may hold a token. */
const ADDRESSES = ['url.full', 'http.url', 'http.target', 'url.path']

let sdk: NodeSDK | undefined

/** Without a processor the SDK makes no tracer at all, and there would be no trace ids. */
const keepNothing: SpanProcessor = { onStart() {}, onEnd() {}, forceFlush: async () => {}, shutdown: async () => {} }

const withoutQuery = (span: { setAttribute(key: string, value: string): unknown; attributes?: Record<string, unknown> }) => {
  const attributes = span.attributes ?? {}
  for (const name of ADDRESSES) {
    const value = attributes[name]
    if (typeof value === 'string' && value.includes('?')) span.setAttribute(name, value.slice(0, value.indexOf('?')))
  }
  if (attributes['url.query'] !== undefined) span.setAttribute('url.query', '')
}

/** Starts tracing once for this process; `processors` take the place of what the environment says. */
export function startTracing(serviceName: string, processors?: SpanProcessor[]): void {
  if (sdk) return
  register() // must come before the SDK: without it kafkajs, loaded as ESM, is not patched
  const exporting = process.env.OTEL_EXPORTER_OTLP_ENDPOINT || process.env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
  const spanProcessors = processors ?? (exporting ? undefined : [keepNothing])
  sdk = new NodeSDK({
    serviceName,
    ...(spanProcessors && { spanProcessors }),
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [
      new HttpInstrumentation({
        ignoreIncomingRequestHook: ({ url }) => PROBES.has(url ?? ''),
        requestHook: withoutQuery,
      }),
      new UndiciInstrumentation({ requestHook: withoutQuery }),
      new FastifyOtelInstrumentation({ registerOnInitialization: true }),
      new PgInstrumentation({ requireParentSpan: true }),
      new KafkaJsInstrumentation(),
    ],
  })
  sdk.start()
}

/** Sends what is left. Answers after `deadlineMs` at the latest: an absent collector must not hold up the exit. */
export async function stopTracing(deadlineMs = 2_000): Promise<void> {
  const running = sdk
  sdk = undefined
  if (!running) return
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadlineMs)
  })
  await Promise.race([running.shutdown().catch(() => {}), late])
  clearTimeout(timer)
}
