/** The whole, end to end: every service a process of its own, real PostgreSQL, real Kafka, the stand-in for Meta. */
import { describe, jest } from '@jest/globals'
import { badInput } from './e2e/bad-input.ts'
import { choices } from './e2e/choices.ts'
import { connect } from './e2e/connect.ts'
import { kafkaDoor } from './e2e/kafka-door.ts'
import { mainJob } from './e2e/main-job.ts'
import { plans } from './e2e/plans.ts'
import { preview } from './e2e/preview.ts'
import { installation } from './e2e/stage.ts'
import { trace } from './e2e/trace.ts'
import { trouble } from './e2e/trouble.ts'

jest.setTimeout(120_000) // patience with a busy machine: tests wait on conditions

describe('on Kafka', () => {
  const stage = installation('kafka')
  mainJob(stage)
  preview(stage)
  choices(stage)
  plans(stage)
  trace(stage)
  kafkaDoor(stage)
  badInput(stage)
  trouble(stage)
  connect(stage)
})
