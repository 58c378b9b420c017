/**
 * One breaker per key (F10): when half of at least 20 calls within 60 seconds went badly, calls of that key are refused
 * for 30 seconds, then one is let through to see. Bad is no answer, or an answer of 5xx; what the caller withdrew counts
 * for nothing bad. A thousand keys are remembered; beyond that the longest unused is forgotten, which closes it.
 */
import CircuitBreaker from 'opossum'
import { HttpFailure } from './failure.ts'

export interface BreakerOptions {
  /** Calls before a judgement. */
  readonly volume: number
  readonly badPercent: number
  readonly windowMs: number
  readonly openMs: number
  readonly keys: number
}

const DEFAULTS: BreakerOptions = { volume: 20, badPercent: 50, windowMs: 60_000, openMs: 30_000, keys: 1_000 }
const BUCKETS = 12 // of five seconds each

export interface Breakers {
  run<T extends { readonly status: number }>(key: string, call: () => Promise<T>): Promise<T>
  isOpen(key: string): boolean
  close(): void
}

/** A bad answer goes through the breaker as an error and comes out as the answer that it is. */
class BadAnswer extends Error {
  readonly answer: unknown
  constructor(answer: unknown) {
    super('5xx')
    this.answer = answer
  }
}

export function createBreakers(name: string, options: Partial<BreakerOptions>): Breakers {
  const { volume, badPercent, windowMs, openMs, keys } = { ...DEFAULTS, ...options }
  // In order of last use: a Map keeps the order of insertion.
  const breakers = new Map<string, CircuitBreaker<[() => Promise<unknown>], unknown>>()

  const breakerOf = (key: string) => {
    const breaker =
      breakers.get(key) ??
      new CircuitBreaker((call: () => Promise<unknown>) => call(), {
        timeout: false, // opossum's would let the call run on; the deadline's signal ends it
        volumeThreshold: volume,
        errorThresholdPercentage: badPercent,
        rollingCountTimeout: windowMs,
        rollingCountBuckets: BUCKETS,
        rollingPercentilesEnabled: false,
        resetTimeout: openMs,
        errorFilter: (error: unknown) => error instanceof HttpFailure && error.phase === 'aborted',
      })
    breakers.delete(key)
    breakers.set(key, breaker)
    const [oldest] = breakers
    if (oldest && breakers.size > keys) {
      breakers.delete(oldest[0])
      oldest[1].shutdown()
    }
    return breaker
  }

  return {
    isOpen: (key) => breakers.get(key)?.opened ?? false,
    async run<T extends { readonly status: number }>(key: string, call: () => Promise<T>): Promise<T> {
      try {
        return (await breakerOf(key).fire(async () => {
          const answer = await call()
          if (answer.status >= 500) throw new BadAnswer(answer)
          return answer
        })) as T
      } catch (error) {
        if (error instanceof BadAnswer) return error.answer as T
        if ((error as { code?: string }).code === 'EOPENBREAKER') throw new HttpFailure('breaker_open', `${name} has been failing; not tried.`)
        throw error
      }
    },
    close() {
      for (const breaker of breakers.values()) breaker.shutdown()
      breakers.clear()
    },
  }
}
