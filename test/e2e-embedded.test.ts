/** The same on the bus that needs no broker. */
import { describe, jest } from '@jest/globals'
import { mainJob } from './e2e/main-job.ts'
import { installation } from './e2e/stage.ts'

jest.setTimeout(120_000)

describe('on the embedded bus', () => {
  mainJob(installation('embedded'))
})
