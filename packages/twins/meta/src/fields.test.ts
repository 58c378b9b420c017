import { describe, expect, test } from '@jest/globals'
import { page, parseFields, select } from './fields.ts'
import { createParams } from './params.ts'

const type = { name: 'Thing', known: new Set(['id', 'name', 'business', 'unset']), byDefault: ['id'] }
const thing = { id: '1', name: 'n', business: { id: 'b', name: 'bn', secret: 1 } }
const items = Array.from({ length: 5 }, (_, number) => ({ id: String(number) }))
const paged = (values: Record<string, string>) =>
  page(items, createParams(values), 'http://twin/v26.0/x?limit=2', ({ id }) => id) as { data: string[]; paging: { cursors: { after: string }; next?: string } }

describe('fields', () => {
  test('only what was asked for comes, the id always, and nothing for fields without a value', () => {
    expect(select(thing, type, undefined)).toEqual({ id: '1' })
    expect(select(thing, type, 'name, business{id,name}, unset')).toEqual({ id: '1', name: 'n', business: { id: 'b', name: 'bn' } })
  })

  test('an unknown field and broken syntax are refused with 100', () => {
    expect(() => select(thing, type, 'name,colour')).toThrow('nonexisting field (colour) on node type (Thing)')
    for (const fields of ['', 'a,', 'a{b', 'a}', 'a{}']) expect(() => parseFields(fields)).toThrow('#100')
  })

  test('following the cursors shows every item once', () => {
    const seen: string[] = []
    for (let values: Record<string, string> | undefined = { limit: '2' }; values !== undefined; ) {
      const { data, paging } = paged(values)
      seen.push(...data)
      values = paging.next === undefined ? undefined : { limit: '2', after: new URL(paging.next).searchParams.get('after') ?? '' }
    }
    expect(seen).toEqual(['0', '1', '2', '3', '4'])
  })

  test('a page that is too big is answered with code 1, a cursor that was never given with 100', () => {
    expect(() => paged({ limit: '500' })).toThrow('reduce the amount of data')
    expect(() => paged({ after: 'x' })).toThrow('Invalid cursor')
  })
})
