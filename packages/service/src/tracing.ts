/**
 * The OpenTelemetry SDK, set up by hand: few instrumentations, traces only, and spans picked before they leave
 * (`span-picker.ts`). It has no signal handler of its own: `run.ts` ends it after everything else.
 */
import { FastifyOtelInstrumentation } from '@fastify/otel'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http'
import { KafkaJsInstrumentation } from '@opentelemetry/instrumentation-kafkajs'
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg'
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici'
import { NodeSDK, type NodeSDKConfiguration } from '@opentelemetry/sdk-node'
import { register } from 'import-in-the-middle/register-hooks.mjs'
import { pickingExporter } from './span-picker.ts'

type SpanProcessor = NonNullable<NodeSDKConfiguration['spanProcessors']>[number]

const STOP_DEADLINE_MS = 2_000 // an absent collector must not hold up the exit
/** What the instrumentations below patch. Without a list every module of the process is wrapped: twice the memory and time of a start. */
const PATCHED = ['http', 'https', 'kafkajs', 'pg', 'pg-pool']
const PROBES = new Set(['/livez', '/readyz'])

/** Without any processor the SDK makes no tracer at all, and there would be no trace ids. */
const keepNothing: SpanProcessor = { onStart() {}, onEnd() {}, forceFlush: async () => {}, shutdown: async () => {} }

let sdk: NodeSDK | undefined

/** Starts tracing once for this process. Spans go where `OTEL_EXPORTER_OTLP_ENDPOINT` says, as OTLP over HTTP, or nowhere. */
export function startTracing(serviceName: string): void {
  if (sdk) return
  register({ include: PATCHED }) // must come before the SDK: without it kafkajs, loaded as ESM, is not patched
  sdk = new NodeSDK({
    serviceName,
    autoDetectResources: false, // the machine's and its user's names, and the command line
    ...(process.env.OTEL_EXPORTER_OTLP_ENDPOINT ? { traceExporter: pickingExporter(new OTLPTraceExporter()) } : { spanProcessors: [keepNothing] }),
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [
      new HttpInstrumentation({ ignoreIncomingRequestHook: ({ url }) => PROBES.has(url ?? '') }),
      new UndiciInstrumentation(),
      new FastifyOtelInstrumentation({ registerOnInitialization: true, instrumentHooks: false, recordExceptions: false }),
      new PgInstrumentation({ requireParentSpan: true }),
      new KafkaJsInstrumentation(),
    ],
  })
  sdk.start()
}

/** Sends what is left, within two seconds. */
export async function stopTracing(): Promise<void> {
  const running = sdk
  sdk = undefined
  if (!running) return
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, STOP_DEADLINE_MS)
  })
  await Promise.race([running.shutdown().catch(() => {}), late])
  clearTimeout(timer)
}
