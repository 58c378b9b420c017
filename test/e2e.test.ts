/** The whole, end to end: every service a process of its own, real PostgreSQL, real Kafka, the stand-in for Meta. */
import { describe, jest } from '@jest/globals'
import { badInput } from './e2e/bad-input.ts'
import { choices } from './e2e/choices.ts'
import { connect } from './e2e/connect.ts'
import { drift } from './e2e/drift.ts'
import { engineBrake } from './e2e/engine-brake.ts'
import { engineControl } from './e2e/engine-control.ts'
import { engineExplain } from './e2e/engine-explain.ts'
import { engineFaults } from './e2e/engine-faults.ts'
import { engineHistory } from './e2e/engine-history.ts'
import { engineMapping } from './e2e/engine-mapping.ts'
import { engineNames } from './e2e/engine-names.ts'
import { engineNormaliser } from './e2e/engine-normaliser.ts'
import { enginePlan } from './e2e/engine-plan.ts'
import { engineSize } from './e2e/engine-size.ts'
import { engineTruth } from './e2e/engine-truth.ts'
import { kafkaDoor } from './e2e/kafka-door.ts'
import { lookalikes } from './e2e/lookalikes.ts'
import { mainJob } from './e2e/main-job.ts'
import { meta } from './e2e/meta.ts'
import { plans } from './e2e/plans.ts'
import { preview } from './e2e/preview.ts'
import { privacy } from './e2e/privacy.ts'
import { quota } from './e2e/quota.ts'
import { replacement } from './e2e/replacement.ts'
import { installation } from './e2e/stage.ts'
import { trace } from './e2e/trace.ts'
import { trouble } from './e2e/trouble.ts'
import { webhooks } from './e2e/webhooks.ts'

jest.setTimeout(300_000) // patience with a busy machine: tests wait on conditions, each for a minute at most, and a few of them one after another

describe('on Kafka', () => {
  const stage = installation('kafka')
  quota(stage) // first: it compares figures by the twin's clock, which the others push
  mainJob(stage)
  preview(stage)
  choices(stage)
  plans(stage)
  engineTruth(stage)
  enginePlan(stage)
  engineBrake(stage)
  engineExplain(stage)
  engineControl(stage)
  engineMapping(stage)
  engineNames(stage)
  engineSize(stage)
  engineHistory(stage)
  engineNormaliser(stage)
  engineFaults(stage)
  drift(stage)
  lookalikes(stage)
  meta(stage)
  replacement(stage)
  privacy(stage)
  trace(stage)
  kafkaDoor(stage)
  badInput(stage)
  trouble(stage)
  webhooks(stage)
  connect(stage)
})
