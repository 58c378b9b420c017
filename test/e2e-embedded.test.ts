/** The same on the bus that needs no broker. */
import { describe, jest } from '@jest/globals'
import { engineTruth } from './e2e/engine-truth.ts'
import { mainJob } from './e2e/main-job.ts'
import { installation } from './e2e/stage.ts'

jest.setTimeout(300_000)

describe('on the embedded bus', () => {
  const stage = installation('embedded')
  mainJob(stage)
  engineTruth(stage)
})
