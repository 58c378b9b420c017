import type { Batch } from '@audience-sync/destination-kit/contract'
import { sha256 } from '@audience-sync/destination-kit/normalise/digest'
import { describe, expect, test } from '@jest/globals'
import { encode } from './encode.ts'
import { keys, MetaSettings } from './manifest.ts'

const row = (values: Record<string, string>) => keys.map(({ name }) => values[name] ?? '')
const batch = (more: Partial<Batch<MetaSettings>>): Batch<MetaSettings> => ({
  operation: 'add',
  audienceExternalId: '2384',
  accountExternalId: '77',
  rows: [],
  session: { id: 7, seq: 2, last: false },
  config: { identifiers: ['phone', 'email'], settings: MetaSettings.parse({}) },
  ...more,
})
const bodyOf = (more: Partial<Batch<MetaSettings>>) => JSON.parse(encode(batch(more), 'v26.0').body.toString())
const email = sha256('a@example.com')
const phone = sha256('14155550100')

describe('the bytes of a batch', () => {
  test('one schema in the vendor’s order for all rows, empty cells where a person lacks a key', () => {
    const request = encode(batch({ rows: [row({ EMAIL: email }), row({ EMAIL: email, PHONE: phone })] }), 'v26.0')
    expect(request.body.toString()).toBe(
      `{"payload":{"schema":["EMAIL","PHONE"],"data":[["${email}",""],["${email}","${phone}"]]},"session":{"session_id":7,"batch_seq":2,"last_batch_flag":false}}`,
    )
    expect(request).toMatchObject({ method: 'POST', path: '/v26.0/2384/users', headers: { 'content-type': 'application/json' } })
  })

  test('the calls log gets keys, rows and session, and no identifier', () => {
    const { shown } = encode(batch({ rows: [row({ EMAIL: email })] }), 'v26.0')
    expect(shown).toEqual({ schema: ['EMAIL', 'PHONE'], rows: 1, session: { session_id: 7, batch_seq: 2, last_batch_flag: false } })
  })

  test('a removal is a DELETE with the same payload', () => {
    const rows = [row({ EMAIL: email })]
    const added = encode(batch({ rows }), 'v26.0')
    const removed = encode(batch({ rows, operation: 'remove' }), 'v26.0')
    expect(removed.method).toBe('DELETE')
    expect(removed.body.equals(added.body)).toBe(true)
  })

  test('R1: a removal carries a key that is not chosen any more', () => {
    expect(bodyOf({ operation: 'remove', rows: [row({ EMAIL: email, MADID: 'ab-1' })] }).payload).toEqual({
      schema: ['EMAIL', 'PHONE', 'MADID'],
      data: [[email, '', 'ab-1']],
    })
  })

  test('EXTERN_ID stands in the schema only where the rows have one, escaped and in UTF-8', () => {
    const config = { identifiers: ['email', 'externalId'] as const, settings: MetaSettings.parse({}) }
    expect(bodyOf({ config, rows: [row({ EMAIL: email })] }).payload.schema).toEqual(['EMAIL'])
    expect(bodyOf({ config, rows: [row({ EMAIL: email, EXTERN_ID: 'ключ "7"\\\n' })] }).payload).toEqual({
      schema: ['EXTERN_ID', 'EMAIL'],
      data: [['ключ "7"\\\n', email]],
    })
  })

  test('rows with and without EXTERN_ID never share a call', () => {
    expect(() => encode(batch({ rows: [row({ EMAIL: email }), row({ EXTERN_ID: '1' })] }), 'v26.0')).toThrow('EXTERN_ID')
  })

  test('values and the numbers of limited data use are numbers, the options a list', () => {
    const config = { identifiers: ['email'] as const, settings: MetaSettings.parse({ valueBased: true, limitedDataUse: true }) }
    const flagged = { LOOKALIKE_VALUE: '44.5', DATA_PROCESSING_OPTIONS: 'LDU', DATA_PROCESSING_OPTIONS_COUNTRY: '1', DATA_PROCESSING_OPTIONS_STATE: '1000' }
    expect(bodyOf({ config, rows: [row({ EMAIL: email, ...flagged }), row({ EMAIL: email })] }).payload.data).toEqual([
      [email, 44.5, ['LDU'], 1, 1000],
      [email, 0, [], '', ''],
    ])
  })

  test('a batch without a session says nothing of one', () => {
    expect(bodyOf({ rows: [row({ EMAIL: email })], session: null })).toEqual({ payload: { schema: ['EMAIL', 'PHONE'], data: [[email, '']] } })
  })

  test('a row that was stored when there were fewer keys has empty cells for the new ones', () => {
    expect(bodyOf({ rows: [['', email]] }).payload.data).toEqual([[email, '']])
  })

  test('all chosen keys are named in the vendor’s order', () => {
    const config = {
      identifiers: ['mobileAdId', 'address', 'name', 'birthDate', 'gender', 'phone', 'email', 'externalId'] as const,
      settings: MetaSettings.parse({}),
    }
    expect(bodyOf({ config, rows: [row({ EXTERN_ID: '1' })] }).payload.schema).toEqual(keys.slice(0, 15).map(({ name }) => name))
  })
})
