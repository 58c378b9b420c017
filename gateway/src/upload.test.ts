import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect, test } from '@jest/globals'
import { guardedUpload } from './upload.ts'

const rules = { limit: 10, timeoutMs: 60_000 }

test('what is within the rules comes out as it went in', async () => {
  const body = new PassThrough()
  const out = guardedUpload(body, rules)
  body.write('12345')
  body.end('67890')
  expect((await buffer(out)).toString()).toBe('1234567890')
})

test('one byte too many ends it', async () => {
  const body = new PassThrough()
  const out = guardedUpload(body, rules)
  body.end('12345678901')
  await expect(buffer(out)).rejects.toMatchObject({ code: 'payload_too_large' })
})

test('a body that does not end in its time ends with an error', async () => {
  const out = guardedUpload(new PassThrough(), { ...rules, timeoutMs: 20 })
  await expect(buffer(out)).rejects.toMatchObject({ code: 'request_timeout' })
})

test('a caller who goes away in the middle ends it', async () => {
  const body = new PassThrough()
  const out = guardedUpload(body, rules)
  body.write('123')
  body.destroy()
  await expect(buffer(out)).rejects.toThrow('The caller went away.')
})

test('a piece waits until its bytes may pass', async () => {
  const body = new PassThrough()
  const waits = [15, 5, 0]
  const asked: number[] = []
  const pace = (bytes: number) => {
    asked.push(bytes)
    return waits.shift() ?? 0
  }
  const out = guardedUpload(body, { ...rules, pace })
  body.end('abc')
  expect((await buffer(out)).toString()).toBe('abc')
  expect(asked).toEqual([3, 3, 3])
})
