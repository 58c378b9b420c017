/** REST shape of a plan: what a run would do, before anything is sent (API.md). */
import { z } from 'zod'
import { zId } from '../ids.ts'
import { identifierChoices } from '../people.ts'

const time = z.iso.datetime()
const count = z.int().min(0)

export const PlanCounts = z.object({
  add: count,
  remove: count,
  replace: count.meta({ description: 'under another normaliser at most: whoever is the same under both is not said, which shows only when they are read' }),
  unchanged: count.meta({ description: 'looked at, nothing to say' }),
  suppressed: count.meta({ description: 'kept back by us' }),
  waiting: count.meta({ description: 'named by a call whose outcome is not known yet: left to a later run' }),
})
export type PlanCounts = z.infer<typeof PlanCounts>

export const PlannedCoverage = z.object({
  present: count.meta({ description: 'members who have one' }),
  usable: count,
  unusable: z.record(z.string(), count).meta({ description: 'by reason' }),
})

export const PlannedQuota = z.object({
  cost: z.number().meta({ description: 'points of all calls' }),
  used: z.number().meta({ description: 'points used now' }),
  capacity: z.number(),
  fits: z.boolean().meta({ description: 'the calls need not wait for points' }),
})

export const Plan = z
  .object({
    id: zId('plan'),
    audienceId: zId('audience'),
    createdAt: time,
    expiresAt: time,
    mode: z.enum(['incremental', 'full']).meta({ description: 'incremental: only who changed is looked at' }),
    held: z.boolean().meta({ description: 'applied, the brake would hold it until somebody approves' }),
    hold: z.record(z.string(), z.unknown()).nullable().meta({ description: 'the figures that the brake saw' }),
    counts: PlanCounts,
    suppressedBy: z.record(z.string(), count),
    identifiers: z
      .partialRecord(z.enum(identifierChoices), PlannedCoverage)
      .meta({ description: 'the chosen identifiers of all members, as ingest found them' }),
    apiCalls: count.meta({ description: 'estimate: uploads, and making the audience where it is new' }),
    expectedSeconds: count.meta({ description: 'estimate, waiting for quota included' }),
    quota: z.record(z.string(), PlannedQuota),
    sampleRequests: z
      .array(z.object({ method: z.string(), url: z.string(), headers: z.record(z.string(), z.string()), body: z.unknown() }))
      .meta({ description: 'of a few people, their values masked' }),
    runId: zId('run').nullable().meta({ description: 'the run that applied it' }),
  })
  .meta({ id: 'Plan' })
export type Plan = z.infer<typeof Plan>
