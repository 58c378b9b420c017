/**
 * One upload's rows, checked. Two kinds of wrong: a payload that cannot be read as a table fails the whole call (100, or 1/99 beyond 10,000 rows),
 * a value of the wrong form makes its row invalid, which is counted and shown in the samples. Sources: vendors/meta.md §4.3, §5 and §9.
 */
import { invalidParameter, missingParameter, tooManyRows } from './errors.ts'
import { type DataSource, identifies, invalidity, isKey, SINGLE_KEYS } from './keys.ts'
import type { Cell, Row } from './members.ts'

export const MOST_ROWS = 10_000
const MOST_SAMPLES = 100
/** Country and state say nothing without it (§4.3). */
const LDU = 'DATA_PROCESSING_OPTIONS'
const KNOWN = ['schema', 'data', 'is_raw', 'page_ids', 'app_ids']

export type Payload = {
  schema: readonly string[]
  source: DataSource
  rows: Row[]
  received: number
  invalid: number
  /** JSON of a row → why it is invalid; at most 100. */
  samples: Record<string, string>
}

/** @param valueRequired a value-based audience takes additions with `LOOKALIKE_VALUE` only */
export const readPayload = (given: unknown, valueRequired: boolean): Payload => {
  if (given === undefined) throw missingParameter('payload')
  if (!isObject(given)) throw invalidParameter('Param payload must be an object', 'payload')
  const unknown = Object.keys(given).find((name) => !KNOWN.includes(name))
  if (unknown !== undefined) throw invalidParameter(`Unknown key in payload: ${unknown}`, 'payload')
  if (given.is_raw !== undefined && typeof given.is_raw !== 'boolean') throw invalidParameter('Param payload[is_raw] must be a boolean', 'payload')

  const { schema, source, single } = readSchema(given.schema)
  for (const [key, ids] of [
    ['PAGEUID', 'page_ids'],
    ['APPUID', 'app_ids'],
  ] as const) {
    if (schema.includes(key) && !Array.isArray(given[ids])) throw missingParameter(`payload[${ids}]`)
  }
  if (valueRequired && !schema.includes('LOOKALIKE_VALUE')) throw invalidParameter('Value-Based Custom Audience requires LOOKALIKE_VALUE', 'payload')

  const data = given.data
  if (!Array.isArray(data) || data.length === 0) throw missingParameter('payload[data]')
  if (data.length > MOST_ROWS) throw tooManyRows()
  const payload: Payload = { schema, source, rows: [], received: data.length, invalid: 0, samples: {} }
  data.forEach((item, number) => {
    const row = { schema, values: readRow(item, number, schema, single) }
    const reason = schema.map((key, position) => invalidity(key, row.values[position] ?? '')).find((found) => found !== undefined)
    if (reason === undefined) payload.rows.push(row)
    else refuseRow(payload, row, reason)
  })
  return payload
}

/** Counts a row as invalid and keeps it as a sample. */
export const refuseRow = (payload: Payload, row: Row, reason: string): void => {
  payload.invalid += 1
  if (Object.keys(payload.samples).length < MOST_SAMPLES) payload.samples[JSON.stringify(row.values)] = reason
}

const readSchema = (given: unknown): { schema: readonly string[]; source: DataSource; single: boolean } => {
  if (given === undefined) throw missingParameter('payload[schema]')
  if (typeof given === 'string') {
    const known = SINGLE_KEYS[given]
    if (known === undefined) throw invalidParameter(`Invalid schema: ${given}`, 'payload')
    return { schema: [known.key], source: known.source, single: true }
  }
  if (!Array.isArray(given) || given.length === 0 || new Set(given).size !== given.length)
    throw invalidParameter('Param payload[schema] must be a list of different keys', 'payload')
  const unknown = given.find((key) => !isKey(key))
  if (unknown !== undefined) throw invalidParameter(`Invalid key in schema: ${JSON.stringify(unknown)}`, 'payload')
  if (given.some((key) => key !== LDU && key.startsWith(LDU)) && !given.includes(LDU))
    throw invalidParameter(`The schema names a place without ${LDU}`, 'payload')
  if (!given.some(identifies)) throw invalidParameter('The schema names no identifier', 'payload')
  return { schema: given, source: 'MULTI_HASHES', single: false }
}

const readRow = (item: unknown, number: number, schema: readonly string[], single: boolean): readonly Cell[] => {
  const values = single && typeof item === 'string' ? [item] : item
  if (!Array.isArray(values)) throw invalidParameter(`Param payload[data][${number}] must be an array`, 'payload')
  if (values.length !== schema.length) throw invalidParameter(`Row ${number} has ${values.length} values, the schema has ${schema.length}`, 'payload')
  if (!values.every(isCell)) throw invalidParameter(`Param payload[data][${number}] must be an array of strings`, 'payload')
  // One all-empty row failed whole batches of others (§9).
  if (!schema.some((key, position) => identifies(key) && values[position] !== '')) throw invalidParameter(`Row ${number} has no identifier`, 'payload')
  return values
}

const isCell = (value: unknown): value is Cell =>
  typeof value === 'string' || typeof value === 'number' || (Array.isArray(value) && value.every((one) => typeof one === 'string'))
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
