/** REST shapes of normalisers in shadow: what another version would change, before anybody is said otherwise. */
import { z } from 'zod'
import { zId } from '../ids.ts'

const time = z.iso.datetime()
const count = z.int().min(0)
const version = z.int().min(1).max(32_767)

export const NormaliserReportRequest = z.object({
  version: version.optional().meta({ description: 'missing: the newest that is not in force' }),
  sample: z
    .union([z.int().min(1).max(10_000_000), z.literal('all')])
    .default(10_000)
    .meta({ description: 'people to look at, evenly chosen; all: everyone who may be sent' }),
})
export type NormaliserReportRequest = z.output<typeof NormaliserReportRequest>

/** What a change of version would do to the people looked at. */
export const NormaliserFigures = z.object({
  of: count.meta({ description: 'members who may be sent' }),
  checked: count.meta({ description: 'of them looked at' }),
  changed: count.meta({ description: 'would be said otherwise: the migration replaces them' }),
  becomeUsable: count.meta({ description: 'nothing of them can be sent now: the migration adds them' }),
  becomeUnusable: count.meta({ description: 'nothing of them could be sent any more: the migration removes them, and the brake counts them' }),
  byKey: z
    .record(z.string(), z.object({ other: count, gained: count, lost: count }))
    .meta({ description: 'people by the platform’s key: with another value, with one where there is none now, with none any more' }),
})
export type NormaliserFigures = z.output<typeof NormaliserFigures>

export const NormaliserReport = NormaliserFigures.extend({
  audienceId: zId('audience'),
  destination: z.string(),
  version,
  inForce: version.nullable().meta({ description: 'the one that it was compared with; null: not begun' }),
  status: z.enum(['queued', 'running', 'done', 'failed']),
  sample: z.union([z.int(), z.literal('all')]),
  examples: z
    .array(z.object({ key: z.string(), change: z.enum(['other', 'gained', 'lost']), shape: z.record(z.string(), z.string()) }))
    .meta({ description: 'kinds of change by the shape of the fields: every run of letters is one a, of digits one 0' }),
  error: z.object({ code: z.string(), title: z.string(), solution: z.string() }).nullable(),
  requestedAt: time,
  finishedAt: time.nullable(),
}).meta({ id: 'NormaliserReport' })

/** The last reports of all audiences of a destination, added up. Somebody in two audiences counts in both. */
export const NormaliserSummary = NormaliserFigures.extend({
  destination: z.string(),
  version,
  inForce: version,
  since: time.meta({ description: 'when this version came into force' }),
  versions: z.array(version).meta({ description: 'all that the connector has' }),
  audiences: count,
  reported: count.meta({ description: 'audiences whose report is done' }),
  open: count.meta({ description: 'audiences whose report is asked for and not done' }),
}).meta({ id: 'NormaliserSummary' })
