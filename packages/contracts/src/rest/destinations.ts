/** REST shapes of the destinations' catalogue, the preview and the catalogue of errors (API.md). */
import { z } from 'zod'
import { Consent, Identifiers } from '../people.ts'
import { Transformations } from '../transformations.ts'
import { Choices, Settings } from './audiences.ts'

const count = z.int().min(0)

export const DestinationInfo = z
  .object({
    id: z.string(),
    title: z.string(),
    apiVersion: z.string(),
    versionLife: z
      .object({
        version: z.string(),
        releasedOn: z.iso.date().nullable(),
        endsOn: z.iso.date().nullable(),
        endIsGuessed: z.boolean().meta({ description: 'the platform has named no end: `endsOn` is when older versions began to end' }),
        state: z.enum(['current', 'ending', 'expired', 'unknown']),
        text: z.string(),
      })
      .nullable()
      .meta({ description: 'how long the platform serves the configured version; null: its versions do not end' }),
    settings: z.record(z.string(), z.unknown()).meta({ description: 'JSON Schema of an audience’s settings' }),
    identifiers: z.array(z.string()),
    capabilities: z.object({
      keepsOrder: z.boolean(),
      applies: z.enum(['answer', 'settle']),
      keys: z.array(z.string()),
      lookalikes: z
        .object({ minimumSeed: count, ratio: z.object({ min: z.number(), max: z.number(), step: z.number() }), unusedDays: count })
        .nullable()
        .meta({ description: 'similar audiences made of one of ours: what a seed needs, and which shares it may ask for. null: it makes none' }),
    }),
    limits: z.record(z.string(), z.int()),
    minimumSize: count,
    quotas: z.array(z.object({ id: z.string(), scope: z.string(), capacity: z.record(z.string(), z.number()), decaySeconds: z.int() })),
    sizeBands: z.array(z.object({ upTo: z.int().nullable(), band: z.string(), text: z.string(), limitedReach: z.boolean() })),
    presets: z
      .array(z.object({ id: z.string(), title: z.string(), text: z.string(), identifiers: z.array(z.string()) }))
      .meta({ description: 'sets of identifiers that `identifierPreset` of an audience chooses at once' }),
    names: z.object({
      templates: z.array(z.string()).meta({ description: 'filled in when an audience is made' }),
      advice: z.array(z.object({ text: z.string(), example: z.string() })),
      flagged: z
        .array(z.object({ topic: z.string(), words: z.array(z.string()) }))
        .meta({ description: 'words that make the platform flag an audience; an audience that has some says so in `nameWarnings`' }),
    }),
    advice: z.array(z.object({ title: z.string(), text: z.string() })),
    troubleshooting: z
      .array(z.object({ title: z.string(), text: z.string(), solution: z.string(), codes: z.array(z.string()) }))
      .meta({ description: 'what people complain of, with the codes under which it shows' }),
    statusPage: z.string(),
  })
  .meta({ id: 'Destination' })

const MAX_PREVIEW_MEMBERS = 100

export const PreviewRequest = z.strictObject({
  operation: z.enum(['add', 'remove']),
  identifiers: Choices.optional().meta({ description: 'all that the destination takes, unless given' }),
  settings: Settings.default({}),
  transformations: Transformations.default([]),
  members: z
    .array(z.strictObject({ customerId: z.string().min(1).max(256), identifiers: Identifiers, consent: Consent.prefault({}), value: z.number().optional() }))
    .min(1)
    .max(MAX_PREVIEW_MEMBERS),
})
export type PreviewRequest = z.infer<typeof PreviewRequest>

export const Preview = z
  .object({
    requests: z.array(z.object({ method: z.string(), url: z.string(), headers: z.record(z.string(), z.string()), body: z.unknown() })),
    members: z.array(
      z.object({
        customerId: z.string(),
        sent: z.record(z.string(), z.unknown()),
        dropped: z.array(z.object({ field: z.string(), code: z.string() })),
        rejected: z.object({ code: z.string(), title: z.string(), solution: z.string() }).nullable(),
      }),
    ),
  })
  .meta({ id: 'Preview' })
export type Preview = z.infer<typeof Preview>

export const ErrorEntry = z
  .object({
    code: z.string(),
    status: z.int(),
    title: z.string(),
    solution: z.string(),
    platform: z
      .array(z.object({ destination: z.string(), codes: z.array(z.string()) }))
      .meta({ description: 'codes of the platforms that end in this one, as `platform.code` shows them' }),
  })
  .meta({ id: 'ErrorEntry' })
