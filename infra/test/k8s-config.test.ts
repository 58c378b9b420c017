/** Each pod is given what its program reads, by the program's own schema, and nothing else. */
import { readFileSync } from 'node:fs'
import { configSchema as behaviorExport, readKeks } from '@audience-sync/behavior-export/config'
import { kafkaSecurityConfig, loadConfig } from '@audience-sync/service/config'
import { generateServiceKey } from '@audience-sync/service/tokens'
import { describe, expect, test } from '@jest/globals'
import { k8s, type Resource } from './kustomized.ts'
import { deployments, given, nameOf, ofKind, podOf, type Variable, workloads } from './manifests.ts'
import { schemas } from './schemas.ts'

const TRACING = 'OTEL_SERVICE_NAME' // read by packages/service/src/register.ts; a service's image sets it
/** Programs without a schema: their file, what they do not work without, and how they are started in their image. */
const scripts: Readonly<Record<string, { readonly file: string; readonly needs: readonly string[]; readonly command: readonly string[] }>> = {
  relay: {
    file: 'packages/events/src/relay-main.ts',
    needs: ['DATABASE_URL', 'KAFKA_BROKERS', 'HOST', 'PORT', TRACING],
    command: ['node', '--import', '@audience-sync/service/register', 'dist/relay-main.js'],
  },
  setup: {
    file: 'infra/src/setup.ts',
    needs: ['DATABASE_URL', 'ROLE_PASSWORD', 'KAFKA_BROKERS'],
    command: ['node', '--conditions=@audience-sync/source', 'infra/src/setup.ts'],
  },
}

const key = await generateServiceKey('any')
const bytes = Buffer.alloc(32).toString('base64url')
/** What an installation adds, in the right shape. */
const installation: Readonly<Record<string, string>> = {
  DATABASE_URL: 'postgresql://role@postgres/audience_sync',
  KAFKA_BROKERS: 'kafka-0:9093,kafka-1:9093',
  SERVICE_KEY: JSON.stringify(key.privateJwk),
  SERVICE_JWKS: JSON.stringify({ keys: [key.publicJwk] }),
  DEAD_LETTER_KEY: bytes,
  CONNECTIONS_KEK: `kek_a:${bytes}`,
  BEHAVIOR_EXPORT_KEK: `kek_a:${bytes}`,
  SYNC_KEK: `kek_a:${bytes}`,
  WEBHOOKS_KEK: `kek_a:${bytes}`,
  PUBLIC_URL: 'https://audiences.example',
  META_APP_ID: '1',
  META_APP_SECRET: 'secret',
}
const envOf = (variables: readonly Variable[]) =>
  Object.fromEntries(variables.map((variable) => [variable.name, given(variable) ?? installation[variable.name]]))

const containers = workloads.map((workload) => [nameOf(workload), podOf(workload).containers[0]] as const)

test('Every program is known here', () => expect([...Object.keys(schemas), ...Object.keys(scripts)].sort()).toEqual(containers.map(([name]) => name).sort()))

describe.each(Object.entries(schemas))('%s', (name, schema) => {
  const variables = containers.find(([other]) => other === name)?.[1].env ?? []

  test('is given every variable it needs, in a shape it takes', () => {
    const config = loadConfig(schema, envOf(variables))
    expect(config).toMatchObject({ HOST: '0.0.0.0', BUS: 'kafka' })
    // Optional by the schema, needed by who consumes.
    expect('KAFKA_BROKERS' in config).toBe('DEAD_LETTER_KEY' in schema.shape)
  })

  test('is given no variable it does not know', () => expect(variables.map((variable) => variable.name).filter((one) => !(one in schema.shape))).toEqual([]))
})

test('behavior-export finds its key-encryption key', () => {
  const [, container] = containers.find(([name]) => name === 'behavior-export') ?? []
  expect(readKeks(loadConfig(behaviorExport, envOf(container?.env ?? []))).current.id).toBe('kek_a')
})

test.each(Object.entries(scripts))('%s is given what it reads, and nothing else', (name, { file, needs, command }) => {
  const source = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
  const [, names = ''] = /const \{([^}]+)\} = process\.env/.exec(source) ?? []
  const reads = names
    .replaceAll(/ = ('[^']*'|\w+)/g, '')
    .split(',')
    .map((one) => one.trim())
  if (source.includes('kafkaSecurity(process.env)')) reads.push(...Object.keys(kafkaSecurityConfig))
  const [, container] = containers.find(([other]) => other === name) ?? []
  const has = container?.env.map((variable) => variable.name) ?? []
  expect(has.filter((one) => one !== TRACING && !reads.includes(one))).toEqual([])
  expect(has).toEqual(expect.arrayContaining([...needs]))
  expect(container?.command).toEqual(command)
})

describe.each(containers)('%s', (name, { env }) => {
  test('is told no variable twice, and none by Kubernetes itself', () => {
    expect(new Set(env.map((variable) => variable.name)).size).toBe(env.length)
    expect(workloads.find((workload) => nameOf(workload) === name)?.spec.template.spec.enableServiceLinks).toBe(false)
  })

  test('has its secrets from Secrets, its own or its kind’s', () => {
    const secret = env.filter((variable) => /KEK|_KEY$|SECRET|PASSWORD|DATABASE_URL/.test(variable.name))
    expect(secret.length).toBeGreaterThan(0)
    for (const { valueFrom } of secret) expect([name, 'connectors']).toContain(valueFrom?.secretKeyRef?.name)
  })

  test('what the files do not hold is in the README’s table', () => {
    const readme = readFileSync(`${k8s}README.md`, 'utf8')
    for (const variable of env.filter((one) => given(one) === undefined)) {
      const { secretKeyRef, configMapKeyRef } = variable.valueFrom ?? {}
      const from = secretKeyRef ?? configMapKeyRef
      const row = readme.split('\n').find((line) => line.startsWith(`| ${secretKeyRef ? 'Secret' : 'ConfigMap'} \`${from?.name}\` |`))
      expect(row).toContain(`\`${from?.key}\``)
    }
  })
})

interface Service extends Resource {
  readonly spec: { readonly selector: Record<string, string>; readonly ports: readonly { readonly port: number; readonly targetPort: string }[] }
}

test.each(deployments.map((deployment) => [nameOf(deployment), deployment] as const))('%s listens where it is looked for', (name, deployment) => {
  const [container] = podOf(deployment).containers
  const port = container.ports?.[0]?.containerPort
  expect(container.env.find((variable) => variable.name === 'PORT')?.value).toBe(String(port))
  const called = ofKind<Service>('Service').filter(({ spec }) => spec.selector['app.kubernetes.io/name'] === name)
  expect(called.map(({ spec }) => spec.ports)).toEqual(name === 'relay' || name.startsWith('connector-') ? [] : [[{ port, targetPort: 'probes' }]])
})
