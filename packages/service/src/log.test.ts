import { AppError } from '@audience-sync/errors/app-error'
import { describe, expect, test } from '@jest/globals'
import { z } from 'zod'
import { createLogger } from './log.ts'

/** Everything that must never be in a line. */
const CANARIES = {
  email: 'canary.one@example.com',
  phone: '+14155550199',
  name: 'Canary Person',
  token: 'EAAGcanarytoken1234567890',
  digest: '6f3a0d9c2f4c0d1e6f3a0d9c2f4c0d1e6f3a0d9c2f4c0d1e6f3a0d9c2f4c0d1e',
  body: 'canary-body-content',
}

function logger() {
  const lines: string[] = []
  const log = createLogger({ name: 'test', level: 'trace', destination: { write: (line) => void lines.push(line) } })
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown> & { err?: Record<string, unknown> } }
}

const axiosError = () =>
  Object.assign(new Error(`Request failed for ${CANARIES.email}`), {
    name: 'AxiosError',
    code: 'ERR_BAD_REQUEST',
    status: 400,
    config: { url: `https://graph.example/me?access_token=${CANARIES.token}`, headers: { Authorization: `Bearer ${CANARIES.token}` }, data: CANARIES.body },
    request: { path: `/me?access_token=${CANARIES.token}` },
    response: { data: { email: CANARIES.email }, headers: { 'set-cookie': CANARIES.token } },
  })

const pgError = () =>
  Object.assign(new Error(`duplicate key (${CANARIES.email})`), {
    code: '23505',
    detail: `Key (email)=(${CANARIES.email}) already exists.`,
    where: CANARIES.body,
    constraint: 'customer_email_key',
    table: 'customer',
  })

const zodError = () => z.object({ email: z.literal('x') }).safeParse({ email: CANARIES.email }).error

describe('no log line carries a person or a secret', () => {
  const paths: Record<string, (log: ReturnType<typeof logger>['log']) => void> = {
    'a failed platform call': (log) => log.error({ err: axiosError() }, 'call failed'),
    'a failed platform call, alone': (log) => log.error(axiosError()),
    'a failed platform call, without words': (log) => log.error({ err: axiosError() }),
    'a failed platform call under another name': (log) => log.error({ failure: axiosError(), error: axiosError() }, 'call failed'),
    'a failed platform call as a cause': (log) => log.error({ err: new AppError('internal', CANARIES.email, { cause: axiosError() }) }, 'x'),
    'a failed query': (log) => log.error({ err: pgError() }, 'query failed'),
    'a failed query within another error': (log) => log.error({ err: new Error(`params: ${CANARIES.email}`, { cause: pgError() }) }, 'x'),
    'a failed check': (log) => log.error({ err: zodError() }, 'not valid'),
    'an error’s own properties': (log) =>
      log.error({ err: Object.assign(new Error(), { code: CANARIES.email, status: CANARIES.token.repeat(9), table: CANARIES.name }) }),
    'a person': (log) => log.info({ customer: { email: CANARIES.email, firstName: CANARIES.name } }, 'seen'),
    'people deep inside': (log) => log.info({ a: { b: [{ user: { email: CANARIES.email } }] } }, 'seen'),
    'fields of a person': (log) => log.info({ email: CANARIES.email, firstName: 'Canary', name: CANARIES.name, phone: CANARIES.phone }, 'seen'),
    'an address as an id': (log) => log.info({ customerId: CANARIES.email, id: CANARIES.phone, runIds: [CANARIES.email, CANARIES.digest] }, 'seen'),
    'a token': (log) => log.info({ token: CANARIES.token, authorization: `Bearer ${CANARIES.token}` }, 'seen'),
    'an address with a token': (log) => log.info({ url: `https://graph.example/me?access_token=${CANARIES.token}` }, 'seen'),
    'a connection string': (log) => log.info({ url: `postgres://app:${CANARIES.token}@localhost/x`, host: `app:${CANARIES.token}@localhost` }, 'seen'),
    'a body': (log) => log.info({ body: CANARIES.body, data: Buffer.from(CANARIES.body), list: [CANARIES.body] }, 'seen'),
    'a child’s bindings': (log) =>
      log
        .child({ email: CANARIES.email, customer: { email: CANARIES.email } })
        .child({ name: CANARIES.name })
        .info('seen'),
    'the words': (log) => log.info(`${CANARIES.email} ${CANARIES.phone} ${CANARIES.digest} Bearer ${CANARIES.token} ?access_token=${CANARIES.token}`),
    'the words beside fields': (log) => log.info({ count: 1 }, `${CANARIES.email} canary.one%40example.com`),
    'the words’ arguments': (log) => log.info('seen %s %o', CANARIES.email, { email: CANARIES.email }),
    'the words’ arguments beside fields': (log) => log.info({ count: 1 }, 'seen %s', CANARIES.email),
  }
  test.each(Object.entries(paths))('%s', (_what, write) => {
    const { log, lines } = logger()
    write(log)
    expect(lines).toHaveLength(1)
    const line = lines.join()
    for (const canary of [...Object.values(CANARIES), 'Canary', 'canary.one%40']) expect(line).not.toContain(canary)
  })
})

describe('a log line', () => {
  test('says what is needed to find the cause', () => {
    const { log, last } = logger()
    log.warn(
      { runId: 'run_1', status: 429, retry: true, counts: { added: 1, removed: 2 }, path: '/v26.0/1/users', at: new Date(0), nothing: null },
      'throttled',
    )
    expect(last()).toMatchObject({
      level: 'warn',
      service: 'test',
      runId: 'run_1',
      status: 429,
      retry: true,
      counts: { added: 1, removed: 2 },
      path: '/v26.0/1/users',
      at: '1970-01-01T00:00:00.000Z',
      msg: 'throttled',
    })
  })

  test('shows its author what it left out', () => {
    const { log, last } = logger()
    log.info({ note: 'hello', fn: () => {} }, 'x')
    expect(last()).toMatchObject({ note: '[left out]', fn: '[left out]' })
  })

  test('reduces an error to its class, its codes, its causes and where it came through', () => {
    const { log, last } = logger()
    log.error({ err: new AppError('destination_unavailable', 'secret', { cause: pgError() }) }, 'failed')
    expect(last().err).toMatchObject({
      type: 'AppError',
      code: 'destination_unavailable',
      status: 503,
      cause: { code: '23505', constraint: 'customer_email_key', table: 'customer' },
    })
    expect(last().err?.frames).toEqual(expect.arrayContaining([expect.stringMatching(/^at .*log\.test\.ts/)]))
    log.error(new TypeError('x is not a function'), 'failed')
    expect(last()).toMatchObject({ err: { type: 'TypeError', message: 'x is not a function' }, msg: 'failed' })
    log.error({ err: zodError() }, 'not valid')
    expect(last().err).toMatchObject({ issues: ['email: invalid_value'] })
  })
})
