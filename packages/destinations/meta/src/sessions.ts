/** How far Meta is with an upload session: `GET /{audience_id}/sessions`, a hint that lags (vendors/meta.md §4.3). */
import type { Sessions } from '@audience-sync/destination-kit/progress-contract'
import { type Graph, required } from './client.ts'
import { isRecord, listOf, numberOf, textOf } from './json.ts'

const fields = 'session_id,stage,progress,num_received,num_matched,num_invalid_entries'

/** -1 is how Meta says that it has not counted. */
const counted = (value: unknown): number | null => {
  const number = numberOf(value) ?? -1
  return number < 0 ? null : number
}

/** The one that was asked for. The id is not among what Meta is known to tell of it, so a single one without an id is the one. */
export function sessionOf(list: readonly unknown[], session: string): Readonly<Record<string, unknown>> | undefined {
  const nodes = list.filter(isRecord)
  const [only] = nodes
  if (nodes.length === 1 && only?.session_id === undefined) return only
  return nodes.find(({ session_id }) => String(session_id) === session)
}

export const metaSessions = (graph: Graph, apiVersion: string): Sessions => ({
  of: ({ sessionId }) => textOf(sessionId) ?? (typeof sessionId === 'number' ? String(sessionId) : null),
  async read(ctx, audienceExternalId, session) {
    const query = { session_id: session, fields }
    const { body } = await graph(ctx, { method: 'GET', path: `/${apiVersion}/${audienceExternalId}/sessions`, query, shown: query })
    const nodes = required(Array.isArray(body.data) ? body.data : undefined, 'data')
    const node = sessionOf(listOf(nodes), session)
    if (!node) return null
    return {
      stage: textOf(node.stage) ?? null,
      received: counted(node.num_received),
      matched: counted(node.num_matched),
      invalid: counted(node.num_invalid_entries),
    }
  },
})
