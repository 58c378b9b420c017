import { describe, expect, test } from '@jest/globals'
import { AppError, toProblem } from './app-error.ts'
import { type Code, catalogue, isCode } from './catalogue.ts'

const REQUEST = 'req_01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d'

describe('a problem document', () => {
  test('has all members of RFC 9457 and ours, from the catalogue', () => {
    const problem = toProblem(new AppError('plan_stale', 'The behavior has changed.'), REQUEST)
    expect(problem).toEqual({
      type: '/errors#plan_stale',
      title: catalogue.plan_stale.title,
      status: 409,
      detail: 'The behavior has changed.',
      code: 'plan_stale',
      solution: catalogue.plan_stale.solution,
      requestId: REQUEST,
    })
  })

  test('takes the advice, the platform’s words and more members from the error', () => {
    const platform = { code: '2650', message: 'Too few users', requestId: 'A1' }
    const error = new AppError('audience_too_small', 'Ninety people.', { solution: 'Wait.', platform, extra: { eligible: 90 } })
    expect(toProblem(error, REQUEST)).toMatchObject({ solution: 'Wait.', platform, eligible: 90 })
  })

  test('cannot be bent by its own extra members', () => {
    const error = new AppError('not_found', 'No such run.', { extra: { status: 200, code: 'ok', requestId: 'other' } })
    expect(toProblem(error, REQUEST)).toMatchObject({ status: 404, code: 'not_found', requestId: REQUEST })
  })

  test.each([new Error('ann@example.com'), 'ann@example.com', undefined, { code: '23505', detail: 'Key (email)=(ann@example.com)' }])(
    'of %p is `internal` and tells nothing of it',
    (thrown) => {
      const problem = toProblem(thrown, REQUEST)
      expect(problem).toMatchObject({ status: 500, code: 'internal', requestId: REQUEST })
      expect(JSON.stringify(problem)).not.toContain('ann@')
    },
  )
})

describe('an error', () => {
  test('carries its code, its status, its cause and how long to wait', () => {
    const cause = new Error('refused')
    const error = new AppError('destination_unavailable', 'Meta does not answer.', { cause, retryAfterMs: 1_500 })
    expect([error.code, error.status, error.cause, error.options.retryAfterMs, error.message]).toEqual([
      'destination_unavailable',
      503,
      cause,
      1_500,
      'Meta does not answer.',
    ])
    expect(error).toBeInstanceOf(Error)
  })
})

describe('the catalogue', () => {
  test.each(Object.entries(catalogue))('%s has a usable status, a title and advice', (code, { status, title, solution }) => {
    expect(code).toMatch(/^[a-z][a-z0-9_]*$/)
    expect(status).toBeGreaterThanOrEqual(200)
    expect(status).toBeLessThan(600)
    expect(title).toMatch(/^\S.*[^.]$/)
    expect(solution).toMatch(/^\S.*\.$/)
  })

  test('has every code that callers branch on, with the status that is promised', () => {
    const promised: Partial<Record<Code, number>> = {
      unauthenticated: 401,
      forbidden_scope: 403,
      not_found: 404,
      validation_failed: 400,
      idempotency_key_reused: 422,
      idempotency_in_flight: 409,
      rate_limited: 429,
      payload_too_large: 413,
      behavior_unknown: 422,
      account_unknown: 422,
      account_not_selected: 409,
      terms_not_signed: 409,
      connection_expired: 409,
      audience_too_small: 409,
      audience_held: 409,
      audience_paused: 409,
      plan_stale: 409,
      plan_expired: 410,
      plan_limit: 403,
      destination_unavailable: 503,
    }
    expect(Object.fromEntries(Object.keys(promised).map((code) => [code, catalogue[code as Code].status]))).toEqual(promised)
  })

  test('knows its own codes and no others', () => {
    expect([isCode('not_found'), isCode('nonsense'), isCode('toString')]).toEqual([true, false, false])
  })
})
