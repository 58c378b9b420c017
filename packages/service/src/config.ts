/**
 * Configuration from the environment, by one schema per service; the schema's descriptions are the manual.
 *
 * `loadConfig` reads once at the start and names every bad variable in one go, by name and reason, never by value.
 * An empty variable counts as not set: that is what compose files and shells make of a missing one.
 */
import { z } from 'zod'

/** A whole number in the environment. No coercion: `Number('')` is 0 and `Number('1e3')` a thousand. */
export const zInteger = ({ min, max, fallback }: { min: number; max: number; fallback: number }) =>
  z
    .string()
    .regex(/^\d{1,15}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(min).max(max))
    .prefault(String(fallback))

/** `true` or `false`, nothing else: "0", "no" and "False" mean different things to different people. */
export const zSwitch = (fallback: boolean) =>
  z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .prefault(fallback ? 'true' : 'false')

/** A port to listen on; 0 takes any free one. */
export const zPort = (fallback: number) => zInteger({ min: 0, max: 65_535, fallback })

/** JSON of a given shape in one variable. */
export const zJson = <S extends z.ZodType>(schema: S) =>
  z
    .string()
    .transform((text, context) => {
      try {
        return JSON.parse(text) as unknown
      } catch {
        context.addIssue({ code: 'custom', message: 'must be JSON' })
        return z.NEVER
      }
    })
    .pipe(schema)

/** Comma-separated, for example `host:9092,host:9093`. */
export const zList = z.string().transform((text) => text.split(',').map((item) => item.trim()))

const KEY_BYTES = 32

/** A key of 32 bytes, in base64url. */
export const zKey = z.base64url().refine((text) => Buffer.from(text, 'base64url').length === KEY_BYTES, `must be ${KEY_BYTES} bytes in base64url`)

const PublicJwk = z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string(), kid: z.string() })
export const zPrivateJwk = PublicJwk.extend({ d: z.string() })
export const zJwks = z.object({ keys: z.array(PublicJwk).min(1) })

/** Spread into a service's own schema: `z.object({ ...baseConfig, PORT: zPort(8081), CONNECTIONS_URL: z.url() })`. */
export const baseConfig = {
  DATABASE_URL: z.url().describe('PostgreSQL, as the role of this service'),
  BUS: z.enum(['kafka', 'embedded']).default('kafka').describe('event transport'),
  KAFKA_BROKERS: zList.optional().describe('host:port, comma-separated; needed when BUS is kafka'),
  HOST: z.string().default('127.0.0.1').describe('address to listen on'),
  PORT: zPort(0).describe('port to listen on; 0 takes any free one'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info').describe('least level that is logged'),
  SERVICE_KEY: zJson(zPrivateJwk).describe('own private key for service tokens: Ed25519 JWK'),
  SERVICE_JWKS: zJson(zJwks).describe('public keys of all services that may call: JWKS'),
}

/** How Kafka is spoken to; read by `kafka-security.ts`, which also says what is missing of half a configuration. */
export const kafkaSecurityConfig = {
  KAFKA_TLS: z.string().optional().describe('true: brokers are spoken to over TLS'),
  KAFKA_CA_FILE: z.string().optional().describe('PEM file with the authority of the brokers’ certificates, where it is not a public one'),
  KAFKA_SASL_MECHANISM: z.string().optional().describe('plain (over TLS only), scram-sha-256 or scram-sha-512; not set: nobody logs in'),
  KAFKA_USERNAME: z.string().optional().describe('whom the brokers know us as'),
  KAFKA_PASSWORD: z.string().optional().describe('of that user'),
}

/** What a service with consumers reads besides. */
export const consumerConfig = {
  ...kafkaSecurityConfig,
  DEAD_LETTER_KEY: zKey.describe('seals dead letters: 32 bytes in base64url'),
  KAFKA_SESSION_MS: zInteger({ min: 6_000, max: 300_000, fallback: 30_000 }).describe(
    'how long a consumer that died without a word keeps its partitions, in milliseconds; longer than an event takes',
  ),
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

export function loadConfig<S extends z.ZodObject>(schema: S, env: Readonly<Record<string, string | undefined>> = process.env): z.output<S> {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''))
  const result = schema.safeParse(given)
  if (result.success) return result.data
  const bad = result.error.issues.map(
    ({ path, message }) => `  ${path[0] === undefined ? '(all)' : String(path[0])}: ${given[String(path[0])] === undefined ? 'is not set' : message}`,
  )
  throw new ConfigError(`The configuration is not usable:\n${[...new Set(bad)].join('\n')}`)
}

/** The manual of a schema: one line for each variable, with its default. */
export function describeConfig(schema: z.ZodObject): string {
  return Object.entries(schema.shape)
    .map(([name, field]) => {
      const { success, data } = z.safeParse(field, undefined)
      const fallback = !success ? 'required' : data === undefined ? 'optional' : `default ${String(data)}`
      return `${name} (${fallback}): ${(field as z.ZodType).description ?? ''}`
    })
    .join('\n')
}
