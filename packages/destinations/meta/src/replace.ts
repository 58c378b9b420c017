/**
 * `POST /{audience}/usersreplace`: the whole list anew, without resetting the ad sets' learning phase (vendors/meta.md §4.4). One schema in
 * all its batches, so rows with and without EXTERN_ID cannot go together. A plain list cannot become a value-based one, nor the reverse. The first
 * batch begins anew whenever it arrives: look first.
 */
import type { Context } from '@audience-sync/destination-kit/contract'
import type { ReplaceList, ReplaceLook } from '@audience-sync/destination-kit/replace-contract'
import type { Graph } from './client.ts'
import { encodeRows } from './encode.ts'
import { isRecord, listOf, numberOf, textOf } from './json.ts'
import type { MetaSettings } from './manifest.ts'
import { sessionOf } from './sessions.ts'

const WINDOW_MS = 90 * 60_000
const PEOPLE_AT_MOST = 99_999_999 // "fewer than 100 M now"
/** Less than a call's worth of people gains nothing; small differences are quicker said one by one. */
const WORTH_FROM = { people: 10_000, share: 0.3 }

/** `operation_status` (vendors/meta.md §4.2). */
const NORMAL = 200
const REPLACING = 414
const REPLACE_FAILED = 415

const replacePath = (apiVersion: string, externalId: string): string => `/${apiVersion}/${externalId}/usersreplace`
/** A replacement that the platform gave up: nothing of its batches counts. */
export const isReplaceFailed = (node: Readonly<Record<string, unknown>>): boolean => operationOf(node) === REPLACE_FAILED

const operationOf = ({ operation_status: status }: Readonly<Record<string, unknown>>): number => (isRecord(status) ? (numberOf(status.code) ?? 0) : 0)

export function replaceList(graph: Graph, apiVersion: string): ReplaceList<MetaSettings> {
  async function hasArrived(ctx: Context, externalId: string, sessionId: number): Promise<boolean> {
    const query = { session_id: String(sessionId) }
    const { body } = await graph(ctx, { method: 'GET', path: `/${apiVersion}/${externalId}/sessions`, query, shown: query })
    return (numberOf(sessionOf(listOf(body.data), String(sessionId))?.num_received) ?? 0) > 0
  }

  return {
    windowMs: WINDOW_MS,
    peopleAtMost: PEOPLE_AT_MOST,
    worthFrom: WORTH_FROM,
    wish: ({ fullRefresh = 'auto' }) => (fullRefresh === 'replace' ? 'always' : fullRefresh === 'add_and_remove' ? 'never' : 'auto'),
    refusal: ({ identifiers }) =>
      identifiers.includes('externalId') ? 'Rows with and without EXTERN_ID need sessions of their own, and a replacement has one.' : null,
    encode: (batch) => encodeRows(batch, { method: 'POST', path: replacePath(apiVersion, batch.audienceExternalId) }),

    async look(ctx, externalId, { settings }, sessionId): Promise<ReplaceLook> {
      const query = { fields: 'operation_status,subtype,is_value_based,approximate_count_upper_bound' }
      const { body, date: at } = await graph(ctx, { method: 'GET', path: `/${apiVersion}/${externalId}`, query, shown: query })
      const operation = operationOf(body)
      const says = (state: ReplaceLook['state'], detail = `operation ${operation}`) => ({ state, detail, at })
      if (textOf(body.subtype) !== 'CUSTOM') return says('impossible', `Its subtype is ${textOf(body.subtype) ?? 'not known'}.`)
      if ((body.is_value_based === true) !== settings.valueBased) return says('impossible', 'A replacement cannot switch between value-based and plain.')
      if ((numberOf(body.approximate_count_upper_bound) ?? 0) > PEOPLE_AT_MOST) return says('impossible', 'It has 100 million people or more.')
      if (sessionId !== null && operation !== REPLACE_FAILED && (operation === REPLACING || (await hasArrived(ctx, externalId, sessionId))))
        return says('begun')
      if (operation === REPLACE_FAILED) return says('failed')
      return says(operation === NORMAL ? 'ready' : 'busy')
    },
  }
}
