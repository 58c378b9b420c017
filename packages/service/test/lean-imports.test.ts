import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'

const FIXTURE = fileURLToPath(new URL('./fixtures/growth.ts', import.meta.url))

const growth = (...args: string[]): { mb: number; loaded: string } =>
  JSON.parse(execFileSync(process.execPath, ['--max-semi-space-size=1', FIXTURE, ...args], { encoding: 'utf8', env: { PATH: process.env.PATH } }))

test('lean imports load the same with less than half of the memory; when this fails because plain ones are as lean, they are needed no more', () => {
  const lean = growth('lean')
  expect(lean.loaded).toBe('function')
  expect(lean.mb).toBeLessThan(growth().mb / 2)
})
