/** CloudEvents 1.0 attributes as headers (binary mode), the same on Kafka and on the embedded transport. */
export const header = {
  id: 'ce_id',
  type: 'ce_type',
  source: 'ce_source',
  time: 'ce_time',
  specVersion: 'ce_specversion',
  /** Which tenant; the broker's ACLs say who may publish. A UUID. */
  tenant: 'ce_tenantid',
  /** Version of the aggregate: what is older than stored is old news. */
  version: 'ce_sequence',
  /** Of the message in `proto/`: grows with an incompatible change, which gets a topic of its own first. */
  schemaVersion: 'schema_version',
  contentType: 'content-type',
  /** W3C: the trace of the request that caused the event. */
  traceparent: 'traceparent',
  /** Of `audience.sync.requested`: which connector it is for. */
  destination: 'destination',
} as const

export const contentTypes = { protobuf: 'application/protobuf', json: 'application/json' } as const
export const SPEC_VERSION = '1.0'
export const SCHEMA_VERSION = '1'
export const MAX_INGEST_BYTES = 1_048_576 // API.md «Events»
export const MAX_OWN_BYTES = 65_536 // API.md «Events»; larger sets go by reference (F5)
