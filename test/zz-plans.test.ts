import { describe, jest } from '@jest/globals'
import { plans } from './e2e/plans.ts'
import { installation } from './e2e/stage.ts'

jest.setTimeout(120_000)
describe('x', () => {
  plans(installation('embedded'))
})
