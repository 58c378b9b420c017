import { EventEmitter } from 'node:events'
import { until } from '@audience-sync/testing/until'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { z } from 'zod'
import { loadConfig } from './config.ts'
import { createLogger } from './log.ts'
import { type Running, runMain } from './run.ts'

let lines: string[]
let exits: number[]
let host: EventEmitter & { env: NodeJS.ProcessEnv; exit(code: number): void }

beforeEach(() => {
  lines = []
  exits = []
  host = Object.assign(new EventEmitter(), { env: { COLOUR: 'red' }, exit: (code: number) => void exits.push(code) })
})

const run = (start: (env: NodeJS.ProcessEnv) => Promise<Running>, deadlineMs = 5_000) =>
  runMain(start, { host: host as never, deadlineMs, log: createLogger({ name: 'test', destination: { write: (line) => void lines.push(line) } }) })

const ended = () => until('the process ends', () => exits.length > 0)

describe('a process', () => {
  test.each(['SIGTERM', 'SIGINT'])('stops once on %s, however often it comes, and ends with 0', async (signal) => {
    let stops = 0
    await run(async ({ COLOUR }) => {
      expect(COLOUR).toBe('red')
      return {
        name: 'gateway',
        async stop() {
          stops += 1
        },
      }
    })
    host.emit(signal)
    host.emit(signal)
    await ended()
    expect([stops, exits]).toEqual([1, [0]])
  })

  test('that is told to stop while it starts, finishes starting and stops', async () => {
    const steps: string[] = []
    let ready = () => {}
    const running = run(async () => {
      await new Promise<void>((resolve) => {
        ready = resolve
      })
      steps.push('started')
      return { name: 'gateway', stop: async () => void steps.push('stopped') }
    })
    await until('it is starting', () => host.listenerCount('SIGTERM') === 1)
    host.emit('SIGTERM')
    await new Promise((resolve) => setImmediate(resolve))
    ready()
    await running
    await ended()
    expect([steps, exits]).toEqual([['started', 'stopped'], [0]])
  })

  test('that does not stop in time ends with 3', async () => {
    await run(async () => ({ name: 'gateway', stop: () => new Promise(() => {}) }), 20)
    host.emit('SIGTERM')
    await ended()
    expect(exits).toEqual([3])
    expect(lines.at(-1)).toContain('did not stop in time')
  })

  test('that fails to stop ends with 1', async () => {
    await run(async () => ({ name: 'gateway', stop: () => Promise.reject(new Error('stuck')) }))
    host.emit('SIGTERM')
    await ended()
    expect(exits).toEqual([1])
  })

  test.each(['unhandledRejection', 'uncaughtException'])('logs an %s, stops and ends with 1', async (event) => {
    const steps: string[] = []
    await run(async () => ({ name: 'gateway', stop: async () => void steps.push('stopped') }))
    host.emit(event, new RangeError('far away'))
    await ended()
    expect([steps, exits]).toEqual([['stopped'], [1]])
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ level: 'fatal', err: { type: 'RangeError' }, msg: 'nobody caught this' })
  })

  test('that fails to start says so and ends with 1', async () => {
    await run(() => Promise.reject(new TypeError('x is not a function')))
    expect(exits).toEqual([1])
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ level: 'fatal', err: { type: 'TypeError', message: 'x is not a function' } })
  })
})

describe('a process without its configuration', () => {
  afterEach(() => void jest.restoreAllMocks())

  test('names what is missing on standard error and ends with 2', async () => {
    const printed = jest.spyOn(console, 'error').mockImplementation(() => {})
    await run(async (env) => {
      loadConfig(z.object({ DATABASE_URL: z.url() }), env)
      throw new Error('not reached')
    })
    expect(exits).toEqual([2])
    expect(printed.mock.calls.flat().join()).toContain('DATABASE_URL: is not set')
  })
})
