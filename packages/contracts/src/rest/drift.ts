/**
 * What may change at the far side without us, what an audience's owner wants done about it, and what was found. The defaults touch
 * nothing: what somebody else did to an audience that ads run on may have been meant.
 */
import { z } from 'zod'

const missing = z.enum(['recreate', 'hold']).meta({ description: 'deleted there: make a new one and say everyone, or send nothing and ask' })
const renamed = z.enum(['restore', 'accept', 'report']).meta({ description: 'renamed there: back to the name here, take that name over, or only show it' })
const size = z.enum(['resync', 'report']).meta({ description: 'far fewer people there than before: say everyone again, or only show it' })

export const DriftPolicy = z
  .strictObject({ missing: missing.default('hold'), renamed: renamed.default('report'), size: size.default('report') })
  .meta({ description: 'what to do about changes at the destination that are not ours' })
export type DriftPolicy = z.infer<typeof DriftPolicy>

/** Merged into the policy as it is. */
export const DriftPolicyPatch = z.strictObject({ missing: missing.optional(), renamed: renamed.optional(), size: size.optional() })

const time = z.iso.datetime()

export const Drift = z.object({
  checkedAt: time.nullable().meta({ description: 'when the destination was last looked at; null: not yet' }),
  findings: z.array(
    z.object({
      code: z.string(),
      title: z.string(),
      solution: z.string(),
      detail: z.string(),
      since: time,
      healing: z.enum(['automatic', 'asks', 'none']).meta({ description: 'automatic: under way or to come; asks: POST /v1/audiences/{id}/heal says yes' }),
    }),
  ),
  policy: DriftPolicy,
})
export type Drift = z.infer<typeof Drift>
