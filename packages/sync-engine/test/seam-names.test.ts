/** The engine, and every service that is not a destination's own, learns of destinations from manifests: no code asks which one it is. */
import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'

const ROOT = join(import.meta.dirname, '../../..')

/** Where a destination may be named: its own code, and the places that put the system together. */
const OWN = [
  /^packages\/(destinations|twins)\//,
  /^services\/connector-[^/]+\//,
  /^services\/audiences\/src\/start\.ts$/, // the one registry of destinations
  /^services\/connections\/src\/adapters\.ts$/, // and of how a tenant connects to them
  /^infra\/src\/postgres\/roles\.ts$/, // a role each
  /^packages\/testing\//,
  /^packages\/db\/src\/migrate\.ts$/, // drizzle keeps its journal in a folder of that name
]
const NOT_CODE = /(^|\/)(dist|node_modules|coverage|gen)\/|\.test\.ts$|\/test\/|\.d\.ts$/

/** Their ids, from the folders that hold them. */
async function destinations(): Promise<string[]> {
  const ids: string[] = []
  for await (const path of glob('packages/destinations/*/package.json', { cwd: ROOT })) ids.push(path.split('/')[2] ?? '')
  return ids
}

async function code(): Promise<string[]> {
  const files: string[] = []
  for await (const path of glob('{packages,services,gateway,infra}/**/*.ts', { cwd: ROOT, exclude: (name) => name === 'node_modules' || name === 'dist' })) {
    if (!NOT_CODE.test(path) && !OWN.some((own) => own.test(path))) files.push(path)
  }
  return files
}

/** Comments may give an example. */
const withoutComments = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|\s)\/\/.*$/gm, '')

/** `.meta({ example: 'x' })` documents a field of the API. */
const withoutExamples = (text: string): string => text.replaceAll(/example: ?'[^']*'/g, '')

test('no code outside a destination’s own names one, or compares to find out which it is', async () => {
  const ids = await destinations()
  expect(ids).toContain('meta')
  const names = new RegExp(`(['"\`])(${ids.join('|')})\\1`)
  const asks = /\b(destination|manifest\.id|destinationId)\s*[!=]==?\s*['"`]|case\s+['"`](meta|google|hubspot)/
  const imports = new RegExp(`from '@audience-sync/destination-(${ids.join('|')})/`)
  const files = await code()
  expect(files.length).toBeGreaterThan(100)
  const offending = files.filter((path) => {
    const text = withoutExamples(withoutComments(readFileSync(join(ROOT, path), 'utf8')))
    return names.test(text) || asks.test(text) || imports.test(text)
  })
  expect(offending).toEqual([])
})

test('the engine’s sources do not mention any platform by name, except to say where a rule comes from', async () => {
  const offending: string[] = []
  for await (const path of glob('packages/sync-engine/src/**/*.ts', { cwd: ROOT })) {
    if (path.endsWith('.test.ts')) continue
    const text = withoutComments(readFileSync(join(ROOT, path), 'utf8'))
    if (/\b(meta|facebook|google|hubspot)\b/i.test(text.replaceAll(/import\.meta|\.meta\(/g, ''))) offending.push(path)
  }
  expect(offending).toEqual([])
})
