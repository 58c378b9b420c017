/** REST shapes of lookalikes: similar audiences that a platform makes of an audience of ours, their seed. */
import { z } from 'zod'
import { zId } from '../ids.ts'
import { Name, NameWarnings } from './audiences.ts'
import { Reason } from './runs.ts'

const time = z.iso.datetime()
const count = z.int().min(0)

const MOST_PLACES = 50 // more than a campaign names one by one; the rest are groups
const Countries = z
  .array(z.string().regex(/^[A-Z]{2}$/, 'ISO 3166-1 alpha-2, in upper case'))
  .max(MOST_PLACES)
  .default([])
const Share = z.number().gt(0).lt(1)

export const NewLookalike = z
  .strictObject({
    name: Name,
    type: z.enum(['similarity', 'reach', 'custom_ratio']).meta({
      description: 'similarity: the closest people; reach: more of them; custom_ratio: a share of your own',
    }),
    ratio: Share.optional().meta({
      description: 'with custom_ratio: the most similar share of the place’s people; steps as the destination says',
      example: 0.02,
    }),
    startingRatio: Share.optional().meta({ description: 'with custom_ratio: the share to leave out at the top', example: 0.01 }),
    countries: Countries.meta({ description: 'where to look for people; at least one country or group', example: ['US'] }),
    countryGroups: z
      .array(z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, 'the platform’s own word'))
      .max(MOST_PLACES)
      .default([])
      .meta({ description: 'in the platform’s words', example: ['worldwide'] }),
    excludedCountries: Countries.meta({ description: 'of the groups' }),
    allowInternationalSeeds: z.boolean().default(false).meta({ description: 'the seed may have too few people in these places' }),
    valueBased: z.boolean().optional().meta({ description: 'true: only of a seed that has values; a seed that has them makes no other' }),
  })
  .meta({ id: 'NewLookalike' })
export type NewLookalike = z.infer<typeof NewLookalike>

const lookalikeStatuses = ['pending', 'creating', 'active', 'error', 'deleting'] as const

export const Lookalike = z
  .object({
    id: zId('lookalike'),
    seedAudienceId: zId('audience'),
    destination: z.string(),
    accountId: zId('account'),
    name: z.string(),
    type: NewLookalike.shape.type,
    ratio: z.number().nullable(),
    startingRatio: z.number().nullable(),
    countries: z.array(z.string()),
    countryGroups: z.array(z.string()),
    excludedCountries: z.array(z.string()),
    allowInternationalSeeds: z.boolean(),
    valueBased: z.boolean(),
    status: z.enum(lookalikeStatuses).meta({
      description:
        'pending: it waits for its seed, as `statusReason` says · creating: the platform builds it, ads may use it already · active · error · deleting',
    }),
    statusReason: Reason.nullable(),
    externalId: z.string().nullable(),
    adopted: z.boolean().meta({ description: 'somebody had made one like it at the platform: it is never deleted by us' }),
    size: z
      .object({ lower: count, upper: count, asOf: time })
      .nullable()
      .meta({ description: 'the platform’s bounds; null where it gives none: not built, resting, or not bound to a place' }),
    nameWarnings: NameWarnings,
    createdAt: time,
    updatedAt: time,
  })
  .meta({ id: 'Lookalike' })
export type Lookalike = z.infer<typeof Lookalike>
