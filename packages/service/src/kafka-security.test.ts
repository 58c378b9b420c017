import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { type KafkaSecurityEnv, kafkaSecurity } from './kafka-security.ts'

const USER = { KAFKA_USERNAME: 'app', KAFKA_PASSWORD: 'canary-password' }
const CA = join(tmpdir(), `kafka-security-${process.pid}.pem`)

test('nothing set: neither a login nor TLS', () => {
  expect(kafkaSecurity({})).toEqual({})
  expect(kafkaSecurity({ KAFKA_TLS: 'false', KAFKA_CA_FILE: '', KAFKA_SASL_MECHANISM: '', KAFKA_USERNAME: '', KAFKA_PASSWORD: '' })).toEqual({})
})

test('TLS alone, with the authorities that Node knows or with one of our own', () => {
  expect(kafkaSecurity({ KAFKA_TLS: 'true' })).toEqual({ ssl: true })
  const pem = '-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n'
  writeFileSync(CA, pem)
  try {
    expect(kafkaSecurity({ KAFKA_TLS: 'true', KAFKA_CA_FILE: CA })).toEqual({ ssl: { ca: [pem] } })
    writeFileSync(CA, 'not one')
    expect(() => kafkaSecurity({ KAFKA_TLS: 'true', KAFKA_CA_FILE: CA })).toThrow(/KAFKA_CA_FILE: .* holds no certificate in PEM/)
  } finally {
    rmSync(CA)
  }
})

test('a login by each mechanism; by plain only over TLS', () => {
  const sasl = (mechanism: string) => ({ mechanism, username: 'app', password: 'canary-password' })
  for (const mechanism of ['scram-sha-256', 'scram-sha-512'])
    expect(kafkaSecurity({ ...USER, KAFKA_SASL_MECHANISM: mechanism })).toEqual({ sasl: sasl(mechanism) })
  expect(kafkaSecurity({ ...USER, KAFKA_SASL_MECHANISM: 'plain', KAFKA_TLS: 'true' })).toEqual({ ssl: true, sasl: sasl('plain') })
})

const halves: [string, KafkaSecurityEnv, RegExp][] = [
  ['a user and a password without a mechanism', USER, /KAFKA_SASL_MECHANISM: is not set/],
  ['a mechanism alone', { KAFKA_SASL_MECHANISM: 'scram-sha-512' }, /KAFKA_USERNAME: is not set\n {2}KAFKA_PASSWORD: is not set/],
  ['a user without a password', { KAFKA_SASL_MECHANISM: 'scram-sha-512', KAFKA_USERNAME: 'app' }, /KAFKA_PASSWORD: is not set/],
  ['a password alone', { KAFKA_PASSWORD: 'canary-password' }, /KAFKA_SASL_MECHANISM: is not set.*\n {2}KAFKA_USERNAME: is not set/],
  [
    'a mechanism that we do not know',
    { ...USER, KAFKA_SASL_MECHANISM: 'gssapi' },
    /KAFKA_SASL_MECHANISM: is gssapi; it can be plain, scram-sha-256, scram-sha-512/,
  ],
  ['plain without TLS', { ...USER, KAFKA_SASL_MECHANISM: 'plain' }, /KAFKA_TLS: is not true, and with plain the password would be sent in the clear/],
  ['an authority without TLS', { KAFKA_CA_FILE: '/ca.pem' }, /KAFKA_CA_FILE: is set, and KAFKA_TLS is not true/],
  ['an authority that is not there', { KAFKA_TLS: 'true', KAFKA_CA_FILE: '/nowhere/ca.pem' }, /KAFKA_CA_FILE: \/nowhere\/ca.pem cannot be read \(ENOENT\)/],
  ['a switch that is neither', { KAFKA_TLS: 'yes' }, /KAFKA_TLS: is yes; it can be true or false/],
]
test.each(halves)('half a configuration says what is missing, and never the password: %s', (_name, env, said) => {
  expect(() => kafkaSecurity(env)).toThrow(said)
  expect(() => kafkaSecurity(env)).not.toThrow(/canary/)
})
