import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { type Config, readKeks } from './config.ts'

const KEY = `kek_a:${Buffer.alloc(32, 1).toString('base64url')}`
const keksOf = (config: Partial<Config>) => readKeks(config as Config)

test('without a key-encryption key the service does not start', () => {
  expect(() => keksOf({})).toThrow('does not start')
  expect(() => keksOf({ BEHAVIOR_EXPORT_KEK: 'kek_a:c2hvcnQ' })).toThrow('malformed')
})

test('the key comes from the environment, or from a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kek-'))
  writeFileSync(join(folder, 'kek'), `${KEY}\n`)
  expect(keksOf({ BEHAVIOR_EXPORT_KEK: KEY }).current.id).toBe('kek_a')
  expect(keksOf({ BEHAVIOR_EXPORT_KEK_FILE: join(folder, 'kek') }).current.id).toBe('kek_a')
  rmSync(folder, { recursive: true })
})
