/**
 * Rows → the bytes of one call, in one pass and with no object between (PERFORMANCE.md §6 design 4). Pure: the same batch
 * gives the same bytes, so that a call whose answer was lost can be repeated as it was.
 *
 *     {"payload":{"schema":["EMAIL","PHONE"],"data":[["<digest>",""]]},"session":{"session_id":1,"batch_seq":1,"last_batch_flag":true}}
 */
import type { Batch, EncodedRequest, IdentifierChoice, KeySet } from '@audience-sync/destination-kit/contract'
import { at, keys, type MetaSettings } from './manifest.ts'

const columnsOf: Readonly<Record<IdentifierChoice, readonly number[]>> = {
  externalId: [at.EXTERN_ID],
  email: [at.EMAIL],
  phone: [at.PHONE],
  gender: [at.GEN],
  birthDate: [at.DOBY, at.DOBM, at.DOBD],
  name: [at.LN, at.FN, at.FI],
  address: [at.CT, at.ST, at.ZIP, at.COUNTRY],
  mobileAdId: [at.MADID],
}

/** What goes into a body, wherever it is sent. */
type Rows = Pick<Batch<MetaSettings>, 'rows' | 'config' | 'session'>

/**
 * One schema for all batches of a session: the chosen keys, in the vendor's order. A removal may carry keys that were
 * chosen when the row was added and are not any more: it says what the adding said (R1).
 */
function schemaOf({ config, rows }: Rows): readonly number[] {
  const used = new Set(config.identifiers.flatMap((choice) => columnsOf[choice]))
  if (config.settings.valueBased) used.add(at.LOOKALIKE_VALUE)
  if (config.settings.limitedDataUse) used.add(at.DATA_PROCESSING_OPTIONS).add(at.DATA_PROCESSING_OPTIONS_COUNTRY).add(at.DATA_PROCESSING_OPTIONS_STATE)
  used.delete(at.EXTERN_ID)
  const others = keys.flatMap((_key, position) => (used.has(position) ? [] : position))
  for (const row of rows) {
    for (const key of others) if (row[key]) used.add(key)
  }
  return [...used].sort((a, b) => a - b)
}

/** What is not a digest: numbers and the list of options are written bare, other text escaped. */
function cell(key: number, value: string): string {
  switch (key) {
    case at.LOOKALIKE_VALUE:
      return value || '0'
    case at.DATA_PROCESSING_OPTIONS:
      return value ? `["${value}"]` : '[]'
    case at.DATA_PROCESSING_OPTIONS_COUNTRY:
    case at.DATA_PROCESSING_OPTIONS_STATE:
      return value || '""'
    default:
      return JSON.stringify(value)
  }
}

/** A digest with its quotes and a comma. */
const digestBytes = 67
/** UTF-8 needs three bytes at most for a unit of a JavaScript string. */
const bytesPerUnit = 3

const [quote, comma, open, close] = Buffer.from('",[]') as unknown as [number, number, number, number]

/**
 * The rows as bytes, comma between. Each value is copied to its place: a string of the whole body would be built from
 * pieces first and flattened then, which takes six times as long.
 */
function dataOf(rows: readonly KeySet[], schema: readonly number[]): Buffer {
  let bytes = Buffer.allocUnsafe(rows.length * (schema.length * digestBytes + bytesPerUnit))
  let end = 0
  const makeRoom = (more: number): void => {
    if (end + more <= bytes.length) return
    const larger = Buffer.allocUnsafe(2 * (end + more))
    bytes.copy(larger, 0, 0, end)
    bytes = larger
  }
  const isDigest = schema.map((key) => keys[key]?.form === 'sha256')
  for (const row of rows) {
    makeRoom(schema.length * digestBytes + bytesPerUnit)
    if (end > 0) bytes[end++] = comma
    bytes[end++] = open
    for (let column = 0; column < schema.length; column++) {
      const key = schema[column] as number
      const value = row[key] ?? ''
      if (column > 0) bytes[end++] = comma
      if (isDigest[column]) {
        bytes[end++] = quote
        if (value !== '') end += bytes.write(value, end, 'latin1')
        bytes[end++] = quote
      } else {
        const text = cell(key, value)
        makeRoom(text.length * bytesPerUnit + (schema.length - column) * digestBytes)
        end += bytes.write(text, end, 'utf8')
      }
    }
    bytes[end++] = close
  }
  return bytes.subarray(0, end)
}

export const encode = (batch: Batch<MetaSettings>, apiVersion: string): EncodedRequest =>
  encodeRows(batch, { method: batch.operation === 'add' ? 'POST' : 'DELETE', path: `/${apiVersion}/${batch.audienceExternalId}/users` })

/** The same body for every call that carries rows. */
export function encodeRows(batch: Rows, to: Pick<EncodedRequest, 'method' | 'path'>): EncodedRequest {
  const schema = schemaOf(batch)
  if (schema[0] === at.EXTERN_ID && batch.rows.some((row) => !row[at.EXTERN_ID])) {
    throw new TypeError('Rows with and without EXTERN_ID in one batch: their lanes differ')
  }
  const names = schema.map((key) => (keys[key] as (typeof keys)[number]).name)
  const session = batch.session && { session_id: batch.session.id, batch_seq: batch.session.seq, last_batch_flag: batch.session.last }
  return {
    ...to,
    headers: { 'content-type': 'application/json' },
    body: Buffer.concat([
      Buffer.from(`{"payload":{"schema":${JSON.stringify(names)},"data":[`),
      dataOf(batch.rows, schema),
      Buffer.from(session ? `]},"session":${JSON.stringify(session)}}` : ']}}'),
    ]),
    shown: { schema: names, rows: batch.rows.length, ...(session && { session }) },
  }
}
