/**
 * What the tests of refusals share: a twin of the file's own, a table of cases, and what no function of the adapter would ever say
 * (it goes through the adapter's client, or as the bytes of a batch).
 */
import type { EncodedRequest, Operation } from '@audience-sync/destination-kit/contract'
import type { Failure, FailureKind } from '@audience-sync/destination-kit/failure'
import { type Code, catalogue } from '@audience-sync/errors/catalogue'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { at, keys } from '../src/manifest.ts'
import { ACCOUNTS, refusal, settings, type WithTwin, withTwin } from './with-twin.ts'

export const hash = (digit: string): string => digit.repeat(64)
export const edge = `/v26.0/act_${ACCOUNTS.works}/customaudiences`

export let meta: WithTwin
/** Call once, at the head of a file. */
export function oneTwin(): void {
  beforeAll(async () => {
    // Every audience of the file shares the account, so no limit may come between.
    meta = await withTwin({ minSize: 3, limits: { score: 1_000_000, audienceCallsPerHour: 1_000_000 } })
  })
  afterAll(() => meta.twin.close())
}

export interface Case {
  readonly what: string
  readonly refused: () => Promise<unknown>
  readonly kind: FailureKind
  readonly code: Code
  /** Meta's code, as `platform.code` shows it. */
  readonly said: string
  /** Of Meta's own words. */
  readonly words?: RegExp
}

export function check(failure: Failure, { kind, code, said, words }: Case): void {
  expect(failure).toMatchObject({ kind, code, platform: { code: said, message: expect.stringMatching(words ?? /./), requestId: expect.any(String) } })
  expect(catalogue[code].title).not.toBe('')
  expect(catalogue[code].solution).not.toBe('')
}
export const table = (cases: readonly Case[]) => test.each(cases)('$what: $kind, $code', async (each) => check(await refusal(each.refused()), each))

/** A batch of rows that the adapter itself encodes; the e-mail digests count up from `from`. */
export function rows(count: number, from = 0): string[][] {
  return Array.from({ length: count }, (_, i) => keys.map((_key, position) => (position === at.EMAIL ? (from + i).toString(16).padStart(64, '0') : '')))
}
export const batch = (audienceExternalId: string, count: number, operation: Operation = 'add'): EncodedRequest =>
  meta.destination.encode({
    operation,
    audienceExternalId,
    accountExternalId: ACCOUNTS.works,
    rows: rows(count),
    session: null,
    config: { identifiers: ['email'], settings },
  })
/** A body that the adapter would not make. */
export const upload = async (payload: object, session?: object, id?: string, path = 'users'): Promise<unknown> =>
  meta.json('POST', `/v26.0/${id ?? (await meta.audience())}/${path}`, { payload, ...(session && { session }) }, true)
export const session = (id: number, seq: number, last = false) => ({ session_id: id, batch_seq: seq, last_batch_flag: last })
export const oneRow = { schema: ['EMAIL'], data: [[hash('a')]] }
/** From the platform's own screens. */
export const onScreen = async (id: string, change: object | null): Promise<void> => {
  const url = `${meta.twin.url}/_twin/audiences/${id}`
  await fetch(url, change ? { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: JSON.stringify(change) } : { method: 'DELETE' })
}

export const notOurs = { kind: 'invalid', code: 'platform_invalid_request' } as const
