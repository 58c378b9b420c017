import { spawnSync } from 'node:child_process'
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from '@jest/globals'
import { asyncApiDocument } from './asyncapi.ts'
import { topics } from './topics.ts'

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'proto-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const buf = (...args: string[]) => {
  const bin = join(root, 'node_modules/.bin')
  const { status, stdout, stderr } = spawnSync(join(bin, 'buf'), args, {
    cwd: join(root, 'proto'),
    encoding: 'utf8',
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
  })
  return { ok: status === 0, output: stdout + stderr }
}
const filesIn = (dir: string) => Object.fromEntries(globSync('**/*_pb.ts', { cwd: dir }).map((file) => [file, readFileSync(join(dir, file), 'utf8')]))

test('the checked-in types are what `npm run proto` makes of the protobuf files', () => {
  const template = readFileSync(join(root, 'proto/buf.gen.yaml'), 'utf8').replace('../packages/contracts/src/events/gen', folder)
  writeFileSync(join(folder, 'buf.gen.yaml'), template.replace('clean: true\n', ''))
  expect(buf('generate', '--template', join(folder, 'buf.gen.yaml'))).toEqual({ ok: true, output: '' })
  const made = filesIn(folder)
  expect(Object.keys(made).length).toBeGreaterThan(3)
  expect(made).toEqual(filesIn(join(root, 'packages/contracts/src/events/gen')))
})

test('the messages are well formed, and break nobody who speaks the last released ones', () => {
  expect(buf('lint')).toEqual({ ok: true, output: '' })
  expect(buf('breaking', '--against', 'baseline.binpb')).toEqual({ ok: true, output: '' })
})

test('a field that changes its type is found to break', () => {
  const copy = join(folder, 'changed')
  cpSync(join(root, 'proto'), copy, { recursive: true })
  const file = join(copy, 'audience_sync/events/v1/behavior.proto')
  writeFileSync(file, readFileSync(file, 'utf8').replace('uint32 changes = 2', 'string changes = 2'))
  expect(buf('breaking', copy, '--against', 'baseline.binpb').ok).toBe(false)
})

test('no message has an enum: Node could not strip its type', () => {
  for (const [file, text] of Object.entries(filesIn(join(root, 'packages/contracts/src/events/gen'))))
    expect([file, text.includes('enum ')]).toEqual([file, false])
})

test('the AsyncAPI document names every topic and is what `npm run proto` makes', () => {
  const made = asyncApiDocument((file) => readFileSync(join(root, 'proto', `${file}.proto`), 'utf8'))
  expect(Object.keys(made.channels as object)).toEqual(Object.keys(topics))
  expect(JSON.parse(readFileSync(join(root, 'proto/asyncapi.json'), 'utf8'))).toEqual(made)
})
