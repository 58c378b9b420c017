/** The registry of topics as an AsyncAPI 3 document, for people of other teams. The payloads are the protobuf files themselves. */
import { contentTypes, header, MAX_INGEST_BYTES, MAX_OWN_BYTES, SCHEMA_VERSION, SPEC_VERSION } from './headers.ts'
import { deadLettersOf, topics } from './topics.ts'

const text = (description: string, more: Record<string, unknown> = {}) => ({ type: 'string', description, ...more })

const headers = {
  type: 'object',
  required: [header.id, header.type, header.source, header.specVersion, header.tenant],
  properties: {
    [header.id]: text('unique per tenant; a repeat is passed over'),
    [header.type]: text('the name of the topic'),
    [header.source]: text('which service'),
    [header.specVersion]: text('CloudEvents', { const: SPEC_VERSION }),
    [header.time]: text('when it happened', { format: 'date-time' }),
    [header.tenant]: text('which tenant', { format: 'uuid' }),
    [header.version]: text('version of the aggregate: smaller than known is old news'),
    [header.schemaVersion]: text('of the message', { const: SCHEMA_VERSION }),
    [header.contentType]: text('how the value is written'),
    [header.traceparent]: text('W3C trace of the request that caused it'),
  },
}

/** What comes in from other services; all other topics we send. */
const incoming: ReadonlySet<string> = new Set([
  topics.behaviorMembershipChanged.name,
  topics.customerChanged.name,
  topics.behaviorChanged.name,
  topics.customerErasureRequested.name,
])

/** `protoOf` answers the text of a file of `proto/`, named as in its descriptor and without `.proto`. */
export function asyncApiDocument(protoOf: (file: string) => string): Record<string, unknown> {
  const all = Object.entries(topics).map(([id, { name, schema, ingest = false }]) => ({ id, name, schema, ingest }))
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Audience Sync events',
      version: SCHEMA_VERSION,
      description: 'Order per key `<tenant>:<aggregate>`; at least once; ids only, except where identifiers come in.',
    },
    defaultContentType: contentTypes.protobuf,
    channels: Object.fromEntries(
      all.map(({ id, name, schema, ingest }) => [
        id,
        {
          address: name,
          description: `At most ${ingest ? MAX_INGEST_BYTES : MAX_OWN_BYTES} bytes. What cannot be used goes to ${deadLettersOf(name)}, encrypted.`,
          messages: { [schema.name]: { $ref: `#/components/messages/${schema.name}` } },
        },
      ]),
    ),
    operations: Object.fromEntries(all.map(({ id, name }) => [id, { action: incoming.has(name) ? 'receive' : 'send', channel: { $ref: `#/channels/${id}` } }])),
    components: {
      messages: Object.fromEntries(
        all.map(({ schema, ingest }) => [
          schema.name,
          {
            name: schema.typeName,
            ...(ingest && { description: 'Protobuf-JSON is taken too, with content-type application/json.' }),
            headers: { $ref: '#/components/schemas/headers' },
            payload: { schemaFormat: 'application/vnd.google.protobuf;version=3', schema: protoOf(schema.file.name) },
          },
        ]),
      ),
      schemas: { headers },
    },
  }
}
