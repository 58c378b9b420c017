/**
 * What an audience may do to its people before they are sent: a small declarative set, refused when it is saved, not when a run
 * meets it. Data only; `transform` of the destination kit is what they mean, `preview` shows it.
 *
 * They are applied in the order given. None can make two people look like one: what names a person is never set to a constant.
 */
import { z } from 'zod'
import { groupBit, type IdentifierChoice, type Identifiers, UNREAD_BIT } from './people.ts'

export type Field = keyof Identifiers

/** The group of identifiers that each field belongs to. */
export const groupOfField = {
  email: 'email',
  emails: 'email',
  phone: 'phone',
  firstName: 'name',
  lastName: 'name',
  gender: 'gender',
  birthDate: 'birthDate',
  city: 'address',
  region: 'address',
  postalCode: 'address',
  country: 'address',
  mobileAdId: 'mobileAdId',
  externalId: 'externalId',
} as const satisfies Record<Field, IdentifierChoice>

/** In the order in which people.ts has them. */
export const fieldNames = Object.keys(groupOfField) as [Field, ...Field[]]
const single = fieldNames.filter((field): field is Exclude<Field, 'emails'> => field !== 'emails') as [Exclude<Field, 'emails'>, ...Exclude<Field, 'emails'>[]]
/** What many people share: the only fields that may be the same for everyone. */
const shared = ['country', 'region', 'city', 'postalCode', 'gender'] as const

const zField = z.enum(fieldNames)
const Text = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[^\p{Cc}]*$/u, 'no control characters')
const Country = z
  .string()
  .regex(/^[A-Za-z]{2}$/, 'an ISO 3166-1 alpha-2 code')
  .toUpperCase()

const MAX_VALUES = 100 // of one condition
const MAX_TRANSFORMATIONS = 20
/** One main address and twenty others. */
const MAX_TAKEN = 21

const Constant = z
  .strictObject({ type: z.literal('constant'), field: z.enum(shared), value: Text })
  .meta({ description: 'the same value for everyone; it goes with people who can be sent without it, and makes nobody sendable' })
const Case = (type: 'lower' | 'upper') => z.strictObject({ type: z.literal(type), field: zField })
const Affix = (type: 'prefix' | 'suffix') => z.strictObject({ type: z.literal(type), field: zField, text: Text })
const DefaultCountry = z
  .strictObject({ type: z.literal('defaultCountry'), country: Country })
  .meta({ description: 'for national phone numbers and missing countries, in place of the tenant’s; consent is judged by the tenant’s all the same' })
const ChooseIdentifier = z
  .strictObject({
    type: z.literal('chooseIdentifier'),
    order: z
      .array(zField)
      .min(1)
      .max(fieldNames.length)
      .refine((list) => new Set(list).size === list.length, 'each field once'),
    take: z.int().min(1).max(MAX_TAKEN).default(1),
  })
  .meta({ description: 'of all that the person has in these fields, in this order, the first `take` are kept and the others left out' })
const MapField = z
  .strictObject({ type: z.literal('map'), field: z.enum(single), from: z.union([z.enum(single), z.literal('customerId')]) })
  .refine(({ field, from }) => field !== from, 'a field from itself')
  .refine(({ field, from }) => from !== 'customerId' || field === 'externalId', 'customerId can only be sent as externalId')
  .meta({ description: 'the field is fed from another attribute of the customer' })
const Drop = z.strictObject({ type: z.literal('drop'), field: zField }).meta({ description: 'the field is left out' })
const DropPerson = z
  .strictObject({
    type: z.literal('dropPerson'),
    when: z.union([
      z.strictObject({ field: zField, is: z.literal('missing') }),
      z.strictObject({ field: zField, equals: z.array(z.string().min(1).max(320)).min(1).max(MAX_VALUES) }),
    ]),
  })
  .meta({ description: 'the person is left out, as `dropped_by_rule`; case and outer space do not matter' })

export const Transformation = z
  .discriminatedUnion('type', [
    Constant,
    Case('lower'),
    Case('upper'),
    Affix('prefix'),
    Affix('suffix'),
    DefaultCountry,
    ChooseIdentifier,
    MapField,
    Drop,
    DropPerson,
  ])
  .meta({ id: 'Transformation' })
export type Transformation = z.infer<typeof Transformation>

export const Transformations = z.array(Transformation).max(MAX_TRANSFORMATIONS).meta({ description: 'applied in this order, before anything is hashed' })

/** The country that takes the tenant's place; the last one said counts. */
export const countryOf = (transformations: readonly Transformation[]): string | undefined =>
  transformations.findLast((one) => one.type === 'defaultCountry')?.country

const bitOf = (field: Field): number => groupBit(groupOfField[field])

/**
 * Groups whose change can change what is sent, beyond the chosen ones; with the bit of what ingest could not read, because a
 * transformation reads that, too.
 */
export function groupsRead(transformations: readonly Transformation[]): number {
  const bits = transformations.reduce((sum, one) => sum | readBy(one), 0)
  return bits === 0 ? 0 : bits | UNREAD_BIT
}

function readBy(one: Transformation): number {
  switch (one.type) {
    case 'prefix':
    case 'suffix':
    case 'lower':
    case 'upper':
      return bitOf(one.field)
    case 'defaultCountry':
      return groupBit('phone') | groupBit('address')
    case 'chooseIdentifier':
      return one.order.reduce((sum, field) => sum | bitOf(field), 0)
    case 'map':
      return one.from === 'customerId' ? 0 : bitOf(one.from)
    case 'dropPerson':
      return bitOf(one.when.field)
    case 'constant':
    case 'drop':
      return 0
  }
}

/**
 * Groups of which one makes somebody worth looking at, when those in `chosen` are chosen. What is left out for everyone is not among
 * them; what a transformation may mend is (ingest could not read it, or the field is fed from another), so that counts of eligible
 * people are then the most that can be.
 */
export function groupsSendable(transformations: readonly Transformation[], chosen: number): number {
  const dropped = new Set(transformations.flatMap((one) => (one.type === 'drop' ? [one.field] : [])))
  const left = fieldNames.filter((field) => !dropped.has(field)).reduce((sum, field) => sum | bitOf(field), 0)
  return transformations.reduce((sum, one) => sum | mendedBy(one, chosen), chosen & left)
}

function mendedBy(one: Transformation, chosen: number): number {
  switch (one.type) {
    case 'prefix':
    case 'suffix':
      return bitOf(one.field) & chosen ? UNREAD_BIT : 0
    case 'defaultCountry':
      return groupBit('phone') & chosen ? UNREAD_BIT : 0
    case 'map':
      return one.from !== 'customerId' && bitOf(one.field) & chosen ? bitOf(one.from) | UNREAD_BIT : 0
    default:
      return 0
  }
}
