/**
 * How we show the broker who we are, and whether what goes to it is encrypted (RELIABILITY.md §3.8): read from the environment,
 * for every program that talks to Kafka. Half of a configuration is refused with what is missing: a client that falls back to no
 * password, or to one that is sent in the clear, would only be noticed by somebody else.
 */
import { readFileSync } from 'node:fs'
import { ConfigError } from './config.ts'

const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const
type Mechanism = (typeof mechanisms)[number]

/** Spread into the options of a kafkajs client. */
export interface KafkaSecurity {
  readonly ssl?: true | { readonly ca: string[] }
  readonly sasl?: { readonly mechanism: Mechanism; readonly username: string; readonly password: string }
}

/** As they stand in the environment; an empty one is not set. */
export interface KafkaSecurityEnv {
  /** `true` or `false` (the default). */
  readonly KAFKA_TLS?: string | undefined
  /** PEM file with the certificates of who signed the brokers'; without it those that Node knows. */
  readonly KAFKA_CA_FILE?: string | undefined
  /** `plain`, `scram-sha-256` or `scram-sha-512`; not set: nobody logs in. */
  readonly KAFKA_SASL_MECHANISM?: string | undefined
  readonly KAFKA_USERNAME?: string | undefined
  readonly KAFKA_PASSWORD?: string | undefined
}

/** @throws ConfigError that names every variable that is missing or wrong, and no value of the password */
export function kafkaSecurity(env: KafkaSecurityEnv | NodeJS.ProcessEnv): KafkaSecurity {
  const { KAFKA_TLS: tls, KAFKA_CA_FILE: caFile, KAFKA_SASL_MECHANISM: mechanism, KAFKA_USERNAME: username, KAFKA_PASSWORD: password } = env
  const problems: string[] = []
  const bad = (name: keyof KafkaSecurityEnv, why: string) => problems.push(`  ${name}: ${why}`)
  const login = [mechanism, username, password].some(Boolean)

  if (tls && tls !== 'true' && tls !== 'false') bad('KAFKA_TLS', `is ${tls}; it can be true or false`)
  if (caFile && tls !== 'true') bad('KAFKA_CA_FILE', 'is set, and KAFKA_TLS is not true')
  if (login && !mechanism) bad('KAFKA_SASL_MECHANISM', `is not set, and a user or a password is; it can be ${mechanisms.join(', ')}`)
  if (login && !username) bad('KAFKA_USERNAME', 'is not set')
  if (login && !password) bad('KAFKA_PASSWORD', 'is not set')
  if (mechanism && !isMechanism(mechanism)) bad('KAFKA_SASL_MECHANISM', `is ${mechanism}; it can be ${mechanisms.join(', ')}`)
  if (mechanism === 'plain' && tls !== 'true') bad('KAFKA_TLS', 'is not true, and with plain the password would be sent in the clear')
  const ca = caFile && tls === 'true' ? certificates(caFile, bad) : undefined
  if (problems.length > 0) throw new ConfigError(`The configuration of Kafka is not usable:\n${problems.join('\n')}`)

  return {
    ...(tls === 'true' && { ssl: ca ? { ca: [ca] } : true }),
    ...(mechanism && isMechanism(mechanism) && username && password && { sasl: { mechanism, username, password } }),
  }
}

const isMechanism = (text: string): text is Mechanism => mechanisms.some((one) => one === text)

function certificates(file: string, bad: (name: keyof KafkaSecurityEnv, why: string) => void): string | undefined {
  try {
    const pem = readFileSync(file, 'utf8')
    if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem
    bad('KAFKA_CA_FILE', `${file} holds no certificate in PEM`)
  } catch (error) {
    bad('KAFKA_CA_FILE', `${file} cannot be read (${(error as { code?: string }).code})`)
  }
  return undefined
}
