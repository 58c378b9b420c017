/** The compose file and the keys that are made for it give each process what its program reads, by the program's own schema. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { writeKeys } from '@audience-sync/infra/make-keys'
import { serviceRoles } from '@audience-sync/infra/postgres/roles'
import { loadConfig } from '@audience-sync/service/config'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { schemas } from './schemas.ts'

interface Container {
  readonly command?: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly ports?: readonly string[]
}

const file = new URL('../../docker-compose.yml', import.meta.url)
const { services } = parse(readFileSync(file, 'utf8').replaceAll(/\$\{\w+:-(\w*)\}/g, '$1'), { merge: true }) as { services: Record<string, Container> }
const folder = mkdtempSync(join(tmpdir(), 'compose-keys-'))
const envFile = (container: Container) => container.command?.find((word) => word.startsWith('--env-file='))?.replace('--env-file=/keys', folder)

beforeAll(async () => {
  expect(await writeKeys(folder)).toBe(true)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe.each(Object.entries(schemas))('%s', (name, schema) => {
  const container = services[name] as Container

  test('is given every variable it needs, and its own secrets only', () => {
    const secrets = parseEnv(readFileSync(envFile(container) ?? '', 'utf8'))
    const config = loadConfig(schema, { ...container.environment, ...secrets })
    expect(config).toMatchObject({ BUS: 'kafka', SERVICE_KEY: { kid: expect.stringContaining(`${name}:`) } })
    expect(Object.keys(secrets).filter((one) => one !== 'PGPASSWORD' && !(one in schema.shape))).toEqual([])
  })

  test('logs in to the database as its own role', () => {
    const role = new URL(container.environment.DATABASE_URL ?? '').username
    expect(role).toBe(name.replaceAll('-', '_'))
    expect(Object.keys(serviceRoles)).toContain(role)
  })
})

test('every env file that a container reads is made, for its owner only', () => {
  const files = Object.values(services).flatMap((container) => envFile(container) ?? [])
  expect(files).toHaveLength(Object.keys(schemas).length + 3) // relay, setup and the twin have no schema
  for (const one of files) expect(statSync(one).mode & 0o777).toBe(0o600)
})

test('keys that are there are never made anew', async () => {
  const before = readFileSync(join(folder, 'gateway.env'), 'utf8')
  expect(await writeKeys(folder)).toBe(false)
  expect(readFileSync(join(folder, 'gateway.env'), 'utf8')).toBe(before)
})

test('nothing is published beyond this machine', () => {
  const ports = Object.values(services).flatMap((container) => container.ports ?? [])
  expect(ports).toHaveLength(2)
  for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/)
})
