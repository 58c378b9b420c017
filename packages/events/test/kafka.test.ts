import { brokerAvailable } from '@audience-sync/testing/kafka'
import { describe, expect, test } from '@jest/globals'
import { contract } from './contract.ts'
import { kafkaRig } from './rig.ts'

const available = await brokerAvailable() // fails where CI is set
if (available.ok) describe('the contract, on Kafka', () => contract(kafkaRig))
else
  test(`the contract was tried on the log in Postgres alone: ${available.why}`, () => {
    console.warn(`Kafka was left out: ${available.why}`)
    expect(process.env.CI).toBeUndefined()
  })
