import { describe, expect, test } from '@jest/globals'
import { z } from 'zod'
import { baseConfig, ConfigError, describeConfig, loadConfig, zInteger, zPort, zSwitch } from './config.ts'
import { generateServiceKey } from './tokens.ts'

const { privateJwk, publicJwk } = await generateServiceKey('audiences')
const env = {
  DATABASE_URL: 'postgres://audiences:secret@localhost/app',
  KAFKA_BROKERS: 'a:9092, b:9092',
  SERVICE_KEY: JSON.stringify(privateJwk),
  SERVICE_JWKS: JSON.stringify({ keys: [publicJwk] }),
}
const schema = z.object({
  ...baseConfig,
  PORT: zPort(8083).describe('port of the API'),
  DEMO: zSwitch(false),
  PAGES: zInteger({ min: 1, max: 9, fallback: 3 }),
})

describe('configuration', () => {
  test('is typed, with defaults for what is not set or empty', () => {
    const config = loadConfig(schema, { ...env, PAGES: '', LOG_LEVEL: 'debug', DEMO: 'true' })
    expect(config).toMatchObject({ PORT: 8083, PAGES: 3, DEMO: true, LOG_LEVEL: 'debug', HOST: '127.0.0.1', BUS: 'kafka', KAFKA_BROKERS: ['a:9092', 'b:9092'] })
    expect(config.SERVICE_KEY.kid).toBe(privateJwk.kid)
  })

  test('names every bad variable at once, and no value', () => {
    const bad = () =>
      loadConfig(schema, { ...env, DATABASE_URL: '', PORT: '80a', DEMO: 'yes', PAGES: '10', SERVICE_KEY: '{"d":"hidden"', SERVICE_JWKS: '{"keys":[]}' })
    expect(bad).toThrow(ConfigError)
    let message = ''
    try {
      bad()
    } catch (error) {
      message = (error as Error).message
    }
    expect(message).toContain('DATABASE_URL: is not set')
    for (const name of ['PORT', 'DEMO', 'PAGES', 'SERVICE_KEY', 'SERVICE_JWKS']) expect(message).toContain(`  ${name}: `)
    expect(message).not.toMatch(/hidden|80a|yes/)
  })

  test('explains itself', () => {
    const manual = describeConfig(schema)
    expect(manual).toContain('PORT (default 8083): port of the API')
    expect(manual).toContain('DATABASE_URL (required): PostgreSQL, as the role of this service')
    expect(manual).toContain('KAFKA_BROKERS (optional)')
    expect(manual).toContain('DEMO (default false)')
  })
})
