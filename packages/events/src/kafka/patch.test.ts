import { createRequire } from 'node:module'
import { expect, test } from '@jest/globals'

const require = createRequire(import.meta.url)
const RequestQueue = require('kafkajs/src/network/requestQueue/index.js')

/** Unpatched, kafkajs 2.2.4 arms a timer with a negative delay whenever it looks, for ever (patches/kafkajs@2.2.4.patch). */
test('an idle request queue of kafkajs arms no timer', () => {
  const queue = new RequestQueue({
    maxInFlightRequests: 1,
    requestTimeout: 1_000,
    enforceRequestTimeout: false,
    clientId: 't',
    broker: 'b',
    logger: { debug() {} },
  })
  queue.checkPendingRequests()
  const armed = queue.throttleCheckTimeoutId
  queue.destroy()
  expect(armed).toBeNull()
})

test('with something pending it looks again, never sooner than its interval', () => {
  const queue = new RequestQueue({
    maxInFlightRequests: 1,
    requestTimeout: 1_000,
    enforceRequestTimeout: false,
    clientId: 't',
    broker: 'b',
    logger: { debug() {} },
  })
  queue.inflight.set(1, {})
  queue.pending.push({})
  queue.checkPendingRequests()
  const delay = queue.throttleCheckTimeoutId?._idleTimeout
  queue.destroy()
  expect(delay).toBeGreaterThanOrEqual(10)
})
