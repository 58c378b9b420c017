import { expect, test } from '@jest/globals'
import { mergeOpenApi, type OpenApi } from './openapi-merge.ts'

const info = { title: 'all', version: '1' }
const doc = (paths: OpenApi['paths'], schemas: Record<string, never>): OpenApi => ({ openapi: '3.1.0', info, paths, components: { schemas } }) as OpenApi
const get = (ref: string) => ({
  get: { responses: { 200: { description: 'ok', content: { 'application/json': { schema: { $ref: `#/components/schemas/${ref}` } } } } } },
})
const string = { type: 'string' } as never
const number = { type: 'number' } as never
const pointing = { type: 'object', properties: { x: { $ref: '#/components/schemas/X' } } } as never

test('operations keep their content and say whose they are', () => {
  const all = mergeOpenApi({ a: doc({ '/v1/a/{id}': get('X') }, { X: string }), b: doc({ '/v1/b': get('X') }, { X: string }) }, { info })
  expect(Object.keys(all.paths ?? {})).toEqual(['/v1/a/{id}', '/v1/b'])
  expect(all.paths?.['/v1/a/{id}']?.get).toMatchObject({ tags: ['a'], operationId: 'get_v1_a_id', responses: { 200: { description: 'ok' } } })
  expect(all.components?.schemas).toEqual({ X: string })
})

test('two components of one name that differ are both kept, and references follow', () => {
  const all = mergeOpenApi({ a: doc({ '/v1/a': get('X') }, { X: string }), b: doc({ '/v1/b': get('Y') }, { X: number, Y: pointing }) }, { info })
  expect(all.components?.schemas).toEqual({ X: string, b_X: number, Y: { type: 'object', properties: { x: { $ref: '#/components/schemas/b_X' } } } })
})

test('a component that looks the same but points at one that differs is kept apart too', () => {
  const all = mergeOpenApi({ a: doc({ '/v1/a': get('Y') }, { X: string, Y: pointing }), b: doc({ '/v1/b': get('Y') }, { X: number, Y: pointing }) }, { info })
  expect(Object.keys(all.components?.schemas ?? {})).toEqual(['X', 'Y', 'b_X', 'b_Y'])
  expect(JSON.stringify(all.paths?.['/v1/b'])).toContain('#/components/schemas/b_Y')
})

test('schemas that no operation uses are left out', () => {
  const all = mergeOpenApi({ a: doc({ '/v1/a': get('Y') }, { X: string, Y: pointing, Unused: number }) }, { info })
  expect(Object.keys(all.components?.schemas ?? {})).toEqual(['X', 'Y'])
})

test('a path that a service does not own is left out', () => {
  const all = mergeOpenApi({ a: doc({ '/v1/a': get('X'), '/internal/v1/a': get('X') }, { X: string }) }, { info, owns: (_, path) => path.startsWith('/v1/') })
  expect(Object.keys(all.paths ?? {})).toEqual(['/v1/a'])
})
