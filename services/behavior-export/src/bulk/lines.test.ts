import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { jsonLines, ndjsonLines } from './lines.ts'
import { createSpool } from './spool.ts'

async function* pieces(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}
const read = (text: string | Buffer, size = 7, limit?: number) => all(ndjsonLines(pieces(Buffer.from(text), size), limit))

test('lines come out whole however the bytes were cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.string(), fc.constantFrom('é', '😀'), fc.integer())),
      fc.integer({ min: 1, max: 20 }),
      fc.boolean(),
      async (values, size, ending) => {
        const text = values.map((value) => JSON.stringify(value)).join('\r\n') + (ending ? '\n' : '')
        expect(await read(text, size)).toEqual(values.map((json, index) => ({ line: index + 1, json })))
      },
    ),
  )
})

test('blank lines are passed over and counted', async () => {
  expect(await read('1\n\n \r\n2\n\n')).toEqual([
    { line: 1, json: 1 },
    { line: 4, json: 2 },
  ])
})

test('what is not JSON, not UTF-8 or too long is a line without content, and the next one is read', async () => {
  const text = Buffer.concat([Buffer.from('{\n"'), Buffer.of(0xc3), Buffer.from(`"\n"${'x'.repeat(70_000)}"\n4`)])
  expect(await read(text, 1_000)).toEqual([1, 2, 3].map((line) => ({ line, json: undefined })).concat([{ line: 4, json: 4 as never }]))
})

test('bytes beyond the limit end the reading', async () => {
  await expect(read('1\n2\n3\n', 2, 4)).rejects.toMatchObject({ code: 'payload_too_large' })
  await expect(all(jsonLines(pieces(Buffer.from('{"changes":[]}'), 3), 'changes', 10))).rejects.toMatchObject({ code: 'payload_too_large' })
})

test('a document has one field with a list', async () => {
  const items = (text: string) => all(jsonLines(pieces(Buffer.from(text), 5), 'changes'))
  expect(await items('{"changes":[1,2]}')).toEqual([
    { line: 1, json: 1 },
    { line: 2, json: 2 },
  ])
  for (const text of ['', '[]', 'null', '{"changes":{}}', '{"changes":[],"more":1}', '{"customers":[]}', '{'])
    await expect(items(text)).rejects.toMatchObject({ code: 'validation_failed' })
})

test('a spool gives back what went through it', async () => {
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, n) => n % 251))
  const spool = await createSpool()
  expect(Buffer.concat(await all(spool.fill(pieces(bytes, 10_007))))).toEqual(bytes)
  expect(Buffer.concat(await all(spool.read()))).toEqual(bytes)
  await spool.close()
})
