/** A broker that lets nobody in without a login (RELIABILITY.md §3.8): what the environment says is what it is shown. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type KafkaServer, startKafka } from '@audience-sync/infra/kafka/server'
import { makeTopics } from '@audience-sync/infra/kafka/topics'
import { freePort } from '@audience-sync/infra/postgres/server'
import { kafkaSecurity } from '@audience-sync/service/kafka-security'
import { brokerAvailable } from '@audience-sync/testing/kafka'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { pino } from 'pino'
import { kafkaTransport } from '../src/kafka/transport.ts'

const START_MS = 90_000 // a broker of its own beside other tests

const available = await brokerAvailable() // fails where CI is set
if (available.ok)
  describe('a broker with a login', () => {
    const folder = mkdtempSync(join(tmpdir(), 'audience-sync-kafka-login-'))
    const PASSWORD = 'canary-kafka-password'
    let broker: KafkaServer
    let brokers: string[]
    beforeAll(async () => {
      const port = await freePort()
      broker = await startKafka({ dataDir: folder, login: { port, username: 'app', password: PASSWORD } })
      brokers = [`127.0.0.1:${port}`]
    }, START_MS)
    afterAll(async () => {
      await broker.stop()
      rmSync(folder, { recursive: true, force: true })
    })

    const env = { KAFKA_SASL_MECHANISM: 'scram-sha-512', KAFKA_USERNAME: 'app', KAFKA_PASSWORD: PASSWORD }
    let logged = ''
    const write = (line: string) => {
      logged += line
    }
    const log = pino({ level: 'trace' }, { write })
    const transport = (given: typeof env | object) => kafkaTransport({ brokers, clientId: 'test', log, security: kafkaSecurity(given) })
    const record = { topic: 'tenant.changed', key: 'k', headers: {}, value: Buffer.from('said') }

    test('with the right one topics are made, and what is sent is read', async () => {
      expect(await makeTopics(brokers, { only: ['tenant.changed'], security: kafkaSecurity(env) })).toContain('tenant.changed')
      const known = transport(env)
      await known.send([record])
      const read: string[] = []
      await known.read('tenant.changed', async ({ value }) => void read.push(value.toString()))
      expect(read).toEqual(['said'])
      await known.close()
    })

    test.each([
      ['without a login', {}],
      ['with a wrong password', { ...env, KAFKA_PASSWORD: 'canary-kafka-password-2' }],
    ])('%s nothing is sent', async (_name, given) => {
      const stranger = transport(given)
      await expect(stranger.send([record])).rejects.toThrow()
      await stranger.close()
      expect(logged).not.toContain('canary')
    })
  })
else
  test(`the login was not tried: ${available.why}`, () => {
    console.warn(`Kafka was left out: ${available.why}`)
    expect(process.env.CI).toBeUndefined()
  })
