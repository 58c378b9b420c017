import { describe, expect, test } from '@jest/globals'
import { pickingExporter, pickSpan } from './span-picker.ts'

class Span {
  name = 'GET /v1/customers/:id'
  attributes = {
    'http.route': '/v1/customers/:id',
    'url.full': 'https://x/?access_token=canary',
    'url.path': '/v1/customers/canary@example.com',
    'db.query.text': 'canary',
  }
  events = [{ name: 'exception', attributes: { 'exception.message': 'canary' } }]
  status = { code: 2, message: 'canary' }
  spanContext() {
    return { traceId: this.#id }
  }
  readonly #id = 'abc'
}
type Picked = Parameters<typeof pickSpan>[0]

describe('a span that leaves', () => {
  test('keeps its route, its status code and its ids, and nothing that quotes data', () => {
    const picked = pickSpan(new Span() as unknown as Picked)
    expect([picked.name, picked.attributes, picked.events, picked.status]).toEqual([
      'GET /v1/customers/:id',
      { 'http.route': '/v1/customers/:id' },
      [],
      { code: 2 },
    ])
    expect(picked.spanContext().traceId).toBe('abc')
  })

  test('is picked on the way to its exporter, whose end is passed on', async () => {
    const steps: unknown[] = []
    const exporter = pickingExporter({
      export: (spans, done) => {
        steps.push(spans.map(({ status }) => status))
        done({ code: 0 })
      },
      forceFlush: async () => void steps.push('flushed'),
      shutdown: async () => void steps.push('ended'),
    })
    exporter.export([new Span() as unknown as Picked], ({ code }) => steps.push(code))
    await exporter.forceFlush?.()
    await exporter.shutdown()
    expect(steps).toEqual([[{ code: 2 }], 0, 'flushed', 'ended'])
  })
})
