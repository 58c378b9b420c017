/** Sends one batch of rows and reads every number of the answer (R4). Meta never says which rows matched. */
import type { Accepted, Context, EncodedRequest } from '@audience-sync/destination-kit/contract'
import type { RowRejection } from '@audience-sync/destination-kit/failure'
import { type Graph, required } from './client.ts'
import { isRecord, listOf, numberOf, textOf } from './json.ts'
import { withoutSecrets } from './mask.ts'

export async function push(graph: Graph, ctx: Context, request: EncodedRequest): Promise<Accepted> {
  const { body, date, requestId } = await graph(ctx, {
    method: request.method === 'DELETE' ? 'DELETE' : 'POST',
    path: request.path,
    headers: request.headers,
    body: request.body,
    shown: request.shown ?? null,
    upload: true,
  })
  // Running total of the session, not of this call (vendors/meta.md §4.3): kept as proof, not compared with the batch.
  const numReceived = required(numberOf(body.num_received), 'num_received')
  const numInvalid = numberOf(body.num_invalid_entries) ?? 0
  const rejections = rejectionsOf(body.invalid_entry_samples, request.body, ctx.accessToken)
  return {
    rejections,
    unnamedRejections: Math.max(0, numInvalid - rejections.length),
    receipt: {
      sessionId: textOf(body.session_id) ?? numberOf(body.session_id) ?? null,
      audienceId: textOf(body.audience_id) ?? null,
      session: request.shown?.session ?? null,
      ...(request.path.endsWith('/usersreplace') && { replaces: true }),
      numReceived,
      numInvalid,
      fbtraceId: requestId,
    },
    acceptedAt: date,
  }
}

/** One row as one text, whether its cells came as strings, numbers or lists. */
const keyOf = (row: readonly unknown[]): string => row.map((cell) => (typeof cell === 'string' ? cell : JSON.stringify(cell))).join('\n')

interface Sample {
  readonly row: string
  readonly reason: string | undefined
}

/** Meta writes a map of the row, as JSON, to a reason; a list when it gives no reasons (and for the empty map). */
function samplesOf(value: unknown): Sample[] {
  if (isRecord(value)) return Object.entries(value).map(([row, reason]) => ({ row: keyOf(parsed(row)), reason: textOf(reason) }))
  return listOf(value).flatMap((item) => {
    if (isRecord(item)) return samplesOf(item)
    return [{ row: keyOf(Array.isArray(item) ? item : parsed(String(item))), reason: undefined }]
  })
}

function parsed(row: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(row)
    return Array.isArray(value) ? value : [value]
  } catch {
    return [row]
  }
}

function rejectionsOf(samples: unknown, sent: Buffer, accessToken: string): readonly RowRejection[] {
  const reasons = new Map(samplesOf(samples).map(({ row, reason }) => [row, reason]))
  if (reasons.size === 0) return []
  const { payload } = JSON.parse(sent.toString()) as { payload: { data: unknown[][] } }
  return payload.data.flatMap((row, index) => {
    const key = keyOf(row)
    if (!reasons.has(key)) return []
    const reason = reasons.get(key)
    return [{ row: index, code: 'platform_rejected_row' as const, ...(reason !== undefined && { platform: { message: withoutSecrets(reason, accessToken) } }) }]
  })
}
