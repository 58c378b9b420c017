import { createHash } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { GraphError } from './errors.ts'
import { MOST_ROWS, readPayload } from './payload.ts'

const hash = (text: string) => createHash('sha256').update(text).digest('hex')
const refusal = (payload: unknown, valueRequired = false) => {
  try {
    readPayload(payload, valueRequired)
  } catch (error) {
    if (error instanceof GraphError) return error.body
    throw error
  }
  throw new Error('it was taken')
}

describe('payload', () => {
  test.each([
    ['EMAIL', hash('a').toUpperCase()],
    ['EMAIL', 'ann@example.com'],
    ['PHONE', hash('a').slice(0, 40)],
    ['EMAIL', hash('')],
    ['EXTERN_ID', ''],
    ['MADID', 'AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE'],
    ['MADID', hash('a')],
    ['LOOKALIKE_VALUE', -1],
    ['LOOKALIKE_VALUE', '3'],
    ['DATA_PROCESSING_OPTIONS', ['CCPA']],
    ['APPUID', 'x'],
  ])('%s %j makes its row invalid and leaves the others alone', (key, value) => {
    const schema = ['FN', key]
    const good = { LOOKALIKE_VALUE: 1, EXTERN_ID: 'c_1', DATA_PROCESSING_OPTIONS: [] }[key] ?? ''
    const payload = readPayload(
      {
        schema,
        app_ids: ['1'],
        data: [
          [hash('x'), value],
          [hash('y'), good],
        ],
      },
      false,
    )
    expect(payload).toMatchObject({ received: 2, invalid: 1 })
    expect(payload.rows.map(({ values }) => values)).toEqual([[hash('y'), good]])
    expect(Object.keys(payload.samples)).toEqual([JSON.stringify([hash('x'), value])])
  })

  test('limited data use is said per row: LDU or nothing, with a place of the list', () => {
    const schema = ['EMAIL', 'DATA_PROCESSING_OPTIONS', 'DATA_PROCESSING_OPTIONS_COUNTRY', 'DATA_PROCESSING_OPTIONS_STATE']
    const row = (...options: unknown[]) => [hash(JSON.stringify(options)), ...options]
    const data = [row(['LDU'], 1, 1000), row([], 0, 0), row(['LDU'], '', ''), row(['LDU'], 2, 1000), row(['LDU'], 1, 1001)]
    expect(readPayload({ schema, data }, false)).toMatchObject({ received: 5, invalid: 2 })
  })

  test.each([
    ['no payload', undefined],
    ['a place without processing options', { schema: ['EMAIL', 'DATA_PROCESSING_OPTIONS_STATE'], data: [[hash('a'), 1000]] }],
    ['no schema', { data: [[hash('a')]] }],
    ['an unknown key', { schema: ['EMAIL', 'MAIL'], data: [[hash('a'), '']] }],
    ['a key twice', { schema: ['EMAIL', 'EMAIL'], data: [[hash('a'), hash('b')]] }],
    ['no identifier in the schema', { schema: ['LOOKALIKE_VALUE'], data: [[1]] }],
    ['an unknown single key', { schema: 'EMAIL', data: [hash('a')] }],
    ['no rows', { schema: ['EMAIL'], data: [] }],
    ['a short row', { schema: ['EMAIL', 'PHONE'], data: [[hash('a'), hash('b')], [hash('a')]] }],
    ['a row that is no list', { schema: ['EMAIL'], data: [hash('a')] }],
    ['null in a cell', { schema: ['EMAIL', 'PHONE'], data: [[hash('a'), null]] }],
    ['an all-empty row', { schema: ['EMAIL', 'PHONE'], data: [['', '']] }],
    ['page ids missing', { schema: ['PAGEUID'], data: [['1']] }],
    ['an unknown part', { schema: ['EMAIL'], data: [[hash('a')]], rows: 1 }],
  ])('%s fails the whole call with 100', (_, payload) => {
    expect(refusal(payload).code).toBe(100)
  })

  test('more than 10,000 rows are answered with 1/99', () => {
    const data = Array.from({ length: MOST_ROWS + 1 }, () => [hash('a')])
    expect(refusal({ schema: ['EMAIL'], data })).toMatchObject({ code: 1, error_subcode: 99 })
    expect(readPayload({ schema: ['EMAIL'], data: data.slice(1) }, false).received).toBe(MOST_ROWS)
  })

  test('a value-based audience wants LOOKALIKE_VALUE', () => {
    expect(refusal({ schema: ['EMAIL'], data: [[hash('a')]] }, true).message).toContain('requires LOOKALIKE_VALUE')
  })

  test('a single key as a string is another kind of source than a list', () => {
    expect(readPayload({ schema: 'EMAIL_SHA256', data: [hash('a'), [hash('b')]] }, false)).toMatchObject({
      source: 'HASHES_OR_USER_IDS',
      schema: ['EMAIL'],
      received: 2,
      invalid: 0,
    })
    expect(readPayload({ schema: ['EMAIL'], data: [[hash('a')]] }, false).source).toBe('MULTI_HASHES')
  })

  test('at most a hundred samples are shown of any number of invalid rows', () => {
    const payload = readPayload({ schema: ['EMAIL'], data: Array.from({ length: 150 }, (_, number) => [`plain ${number}`]) }, false)
    expect(payload.invalid).toBe(150)
    expect(Object.keys(payload.samples)).toHaveLength(100)
  })
})
