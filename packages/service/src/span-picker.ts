/**
 * What may leave in a span (RELIABILITY.md §3.9): ids, codes, routes and names of things, by an allow-list. Instrumentations
 * attach whole addresses, error messages and stack traces, in places that change with their versions; here it all ends.
 */
import type { NodeSDKConfiguration } from '@opentelemetry/sdk-node'

type Exporter = NodeSDKConfiguration['traceExporter']
type Span = Parameters<Exporter['export']>[0][number]

const ALLOWED = new Set([
  'http.request.method',
  'http.response.status_code',
  'http.route',
  'server.address',
  'server.port',
  'network.protocol.version',
  'error.type',
  'db.system',
  'db.system.name',
  'db.operation.name',
  'db.namespace',
  'messaging.system',
  'messaging.operation.name',
  'messaging.operation.type',
  'messaging.destination.name',
  'messaging.destination.partition.id',
  'messaging.consumer.group.name',
  'messaging.kafka.offset',
  'messaging.batch.message_count',
])

/** The span without anything that is not allowed. Its name is a method, a route or a word of ours. */
export function pickSpan(span: Span): Span {
  const attributes = Object.fromEntries(Object.entries(span.attributes).filter(([name]) => ALLOWED.has(name)))
  const picked = { attributes, events: [], status: { code: span.status.code } }
  return new Proxy(span, {
    get(target, name) {
      if (Object.hasOwn(picked, name)) return picked[name as keyof typeof picked]
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value // spans may have private fields
    },
  })
}

export const pickingExporter = (exporter: Exporter): Exporter => ({
  export: (spans, done) => exporter.export(spans.map(pickSpan), done),
  shutdown: () => exporter.shutdown(),
  forceFlush: async () => exporter.forceFlush?.(),
})
