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

/**
 * One schema for all batches of a session: the chosen keys, in the vendor's order. A removal may carry keys that were
 * chosen when the row was added and are not any more: it says what the adding said (R1).
 */
function schemaOf({ config, rows }: Batch<MetaSettings>): readonly number[] {
  const used = new Set(config.identifiers.flatMap((choice) => columnsOf[choice]))
  if (config.settings.valueBased) used.add(at.LOOKALIKE_VALUE)
  if (config.settings.limitedDataUse) used.add(at.DATA_PROCESSING_OPTIONS).add(at.DATA_PROCESSING_OPTIONS_COUNTRY).add(at.DATA_PROCESSING_OPTIONS_STATE)
  used.delete(at.EXTERN_ID)
  for (const row of rows) {
    for (let key = 0; key < row.length; key++) if (row[key]) used.add(key)
  }
  return [...used].sort((a, b) => a - b)
}

/** Digests need no escaping; numbers and the list of options are written bare. */
function cell(key: number, value: string): string {
  switch (key) {
    case at.EXTERN_ID:
    case at.MADID:
      return JSON.stringify(value)
    case at.LOOKALIKE_VALUE:
      return value || '0'
    case at.DATA_PROCESSING_OPTIONS:
      return value ? `["${value}"]` : '[]'
    case at.DATA_PROCESSING_OPTIONS_COUNTRY:
    case at.DATA_PROCESSING_OPTIONS_STATE:
      return value || '""'
    default:
      return `"${value}"`
  }
}

function line(row: KeySet, schema: readonly number[]): string {
  let text = '['
  for (let column = 0; column < schema.length; column++) {
    const key = schema[column] as number
    if (column > 0) text += ','
    text += cell(key, row[key] ?? '')
  }
  return `${text}]`
}

export function encode(batch: Batch<MetaSettings>, apiVersion: string): EncodedRequest {
  const schema = schemaOf(batch)
  const withExternId = schema[0] === at.EXTERN_ID
  if (withExternId && batch.rows.some((row) => !row[at.EXTERN_ID])) throw new TypeError('Rows with and without EXTERN_ID in one batch: their lanes differ')
  const names = schema.map((key) => (keys[key] as (typeof keys)[number]).name)
  const session = batch.session && { session_id: batch.session.id, batch_seq: batch.session.seq, last_batch_flag: batch.session.last }

  let text = `{"payload":{"schema":${JSON.stringify(names)},"data":[`
  for (let index = 0; index < batch.rows.length; index++) {
    if (index > 0) text += ','
    text += line(batch.rows[index] as KeySet, schema)
  }
  text += session ? `]},"session":${JSON.stringify(session)}}` : ']}}'
  return {
    method: batch.operation === 'add' ? 'POST' : 'DELETE',
    path: `/${apiVersion}/${batch.audienceExternalId}/users`,
    headers: { 'content-type': 'application/json' },
    // Only an external id can hold more than ASCII; one byte a character is the quicker way to bytes.
    body: Buffer.from(text, withExternId ? 'utf8' : 'latin1'),
    shown: { schema: names, rows: batch.rows.length, ...(session && { session }) },
  }
}
