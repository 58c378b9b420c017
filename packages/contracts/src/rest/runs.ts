/** REST shapes of runs: what one sync did, who was refused, what was said to the platform (API.md). */
import { z } from 'zod'
import { zId } from '../ids.ts'

const time = z.iso.datetime()
const count = z.int().min(0)

/** What the matter is and what to do (R8). */
export const Reason = z.object({
  code: z.string(),
  title: z.string(),
  solution: z.string(),
  detail: z.string().optional(),
  link: z.string().optional().meta({ description: 'where it can be mended' }),
  since: time,
  until: time.optional(),
  platform: z.object({ code: z.string().optional(), message: z.string().optional(), requestId: z.string().optional() }).optional(),
})
export type Reason = z.infer<typeof Reason>

/** Add up at every moment: planned = accepted + rejected + failed + cancelled + unknown + waiting; accepted = added + removed + replaced; applied ≤ accepted. */
export const Counts = z.object({
  planned: count,
  waiting: count,
  accepted: count,
  applied: count,
  rejected: count,
  failed: count,
  cancelled: count,
  unknown: count,
  added: count,
  removed: count,
  replaced: count,
  unchanged: count.meta({ description: 'looked at, nothing to say' }),
  suppressed: count.meta({ description: 'kept back by us; never in planned' }),
})

const runStatuses = ['queued', 'running', 'waiting', 'held', 'applying', 'completed', 'completed_with_rejections', 'failed', 'cancelled'] as const

export const Run = z
  .object({
    id: zId('run'),
    audienceId: zId('audience'),
    trigger: z.string().meta({ description: 'created, api, schedule, realtime, retry, plan, heal or privacy' }),
    mode: z.enum(['incremental', 'full']),
    status: z.enum(runStatuses),
    progress: z.object({ done: count, total: count }),
    counts: Counts,
    suppressedBy: z.record(z.string(), count),
    waitingFor: Reason.nullable().meta({
      description: 'of a waiting run: for what, and until when; of a queued one: why it has not begun. null while queued: it begins in a moment',
    }),
    startsAt: time.nullable().meta({
      description:
        'of a run that is queued, or made room for others: when it is expected to go on, by the line of its account as it is now. null: in a moment, or nobody can say',
    }),
    hold: z.record(z.string(), z.unknown()).nullable().meta({ description: 'of a held run: the figures that the brake saw' }),
    platform: z
      .object({
        stages: z.array(z.string()).meta({ description: 'in the platform’s words' }),
        received: count.nullable(),
        matched: count.nullable(),
        invalid: count.nullable(),
      })
      .nullable()
      .meta({ description: 'how far the platform says it is with the rows of this run: a hint that lags; rows, not people. null: it says nothing' }),
    warnings: z
      .array(z.object({ code: z.string(), title: z.string(), solution: z.string(), detail: z.string() }))
      .meta({ description: 'what the platform remarked on what it applied' }),
    apiCalls: count,
    traceId: z.string().nullable(),
    requestedAt: time,
    startedAt: time.nullable(),
    finishedAt: time.nullable(),
    error: Reason.nullable(),
  })
  .meta({ id: 'Run' })
export type Run = z.infer<typeof Run>

export const Rejection = z
  .object({
    customerId: z.string().nullable().meta({ description: 'null: the customer was erased' }),
    operation: z.string(),
    code: z.string(),
    title: z.string(),
    solution: z.string(),
    platform: z.unknown().optional(),
    attempts: count.meta({ description: 'runs in which it was refused' }),
    attemptsAtMost: count.meta({ description: 'then it rests until the person’s data change, or `retry-rejected`' }),
    nextAttempt: time.nullable().meta({ description: 'with the first run after this; null: not by itself' }),
    firstAt: time,
    lastAt: time,
  })
  .meta({ id: 'Rejection' })

export const PlatformCall = z
  .object({
    batchNo: z.int().nullable(),
    method: z.string(),
    path: z.string(),
    status: z.int().nullable().meta({ description: 'null: no answer came' }),
    durationMs: count,
    request: z.unknown().meta({ description: 'identifiers masked' }),
    response: z.unknown().meta({ description: 'identifiers masked' }),
    platformRequestId: z.string().nullable(),
    traceId: z.string().nullable(),
    startedAt: time,
  })
  .meta({ id: 'PlatformCall' })
