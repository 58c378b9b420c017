import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { checkJson } from './json-body.ts'

const nested = (depth: number): unknown => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`)
const refused = expect.objectContaining({ code: 'validation_failed' })

describe('a JSON body', () => {
  test('may be ten levels deep, or as deep as its route says', () => {
    expect(() => checkJson(nested(10))).not.toThrow()
    expect(() => checkJson(nested(11))).toThrow(refused)
    expect(() => checkJson(nested(12), 12)).not.toThrow()
    expect(() => checkJson(nested(20_000))).toThrow(refused)
  })

  test.each(['a\u0000b', '\ud800', 'x\udc00'])('is refused with %j in it, wherever it is', (text) => {
    for (const body of [text, [text], { a: [{ b: text }] }, { [text]: 1 }, { a: { [text]: {} } }]) expect(() => checkJson(body)).toThrow(refused)
  })

  test('of ordinary text passes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8, noUnicodeString: false }), (body) => {
        const bad = /\\u0000|\\ud[89a-f]/i.test(JSON.stringify(body) ?? '')
        if (bad) expect(() => checkJson(body)).toThrow(refused)
        else expect(() => checkJson(body)).not.toThrow()
      }),
    )
  })
})
