/**
 * What an audience's transformations make of a person. Pure, and never throws: they were checked when they were saved, and whatever
 * they cannot be applied to stays as it is. A value that came hashed is never altered: it would match nobody any more.
 */
import { type Identifiers, Identifiers as Shape } from '@audience-sync/contracts/people'
import { countryOf, type Field, type Transformation } from '@audience-sync/contracts/transformations'
import type { Destination, Person, Prepared, SendConfig } from './contract.ts'
import { readDigest } from './normalise/digest.ts'

type Fields = { -readonly [key in Field]?: Identifiers[key] }

/** null: a rule leaves the person out. `defaultCountry` alters nobody; `configAs` carries it to where numbers are read. */
export function transform(person: Person, transformations: readonly Transformation[]): Person | null {
  if (transformations.length === 0) return person
  const fields = { ...person.identifiers } as Fields
  for (const one of transformations) if (!apply(one, fields, person.customerId)) return null
  return { ...person, identifiers: fields }
}

/** Alters `fields`; false: the person is left out. */
function apply(one: Transformation, fields: Fields, customerId: string): boolean {
  switch (one.type) {
    case 'constant':
      // Nobody comes into being by a rule.
      if (valuesOf(fields).length > 0) fields[one.field] = one.value
      return true
    case 'lower':
    case 'upper':
      rewrite(fields, one.field, (text) => (one.type === 'lower' ? text.toLowerCase() : text.toUpperCase()))
      return true
    case 'prefix':
    case 'suffix':
      rewrite(fields, one.field, (text) => (one.type === 'prefix' ? one.text + text.trim() : text.trim() + one.text))
      return true
    case 'chooseIdentifier':
      choose(fields, one.order, one.take)
      return true
    case 'map':
      feed(fields, one.field, one.from === 'customerId' ? customerId : fields[one.from])
      return true
    case 'drop':
      delete fields[one.field]
      return true
    case 'dropPerson':
      return !meets(fields, one.when)
    case 'defaultCountry':
      return true
  }
}

const given = (value: string | undefined): value is string => value !== undefined && value.trim() !== ''
const valuesAt = (fields: Fields, field: Field): string[] => (field === 'emails' ? (fields.emails ?? []) : [fields[field]]).filter(given)
const valuesOf = (fields: Fields): string[] => (Object.keys(fields) as Field[]).flatMap((field) => valuesAt(fields, field))

/** What is longer than the field may be is no value of it; what came hashed stays as it is. */
function rewrite(fields: Fields, field: Field, change: (text: string) => string): void {
  const rewritten = (text: string): string[] => {
    if (!given(text) || readDigest(text) !== undefined) return [text]
    const next = change(text)
    return field !== 'emails' && !Shape.shape[field].safeParse(next).success ? [] : [next]
  }
  if (field === 'emails') {
    if (fields.emails) fields.emails = fields.emails.flatMap(rewritten).filter((text) => text.length <= LONGEST)
    return
  }
  const value = fields[field]
  if (value === undefined) return
  const [next] = rewritten(value)
  if (next === undefined) delete fields[field]
  else fields[field] = next
}

const LONGEST = 320 // of an address, as people.ts takes it

function choose(fields: Fields, order: readonly Field[], take: number): void {
  let left = take
  for (const field of order) {
    const values = valuesAt(fields, field).slice(0, left)
    left -= values.length
    if (field === 'emails') {
      if (values.length > 0) fields.emails = values
      else delete fields.emails
    } else if (values.length === 0) delete fields[field]
  }
}

function feed(fields: Fields, field: Exclude<Field, 'emails'>, value: string | undefined): void {
  if (given(value) && Shape.shape[field].safeParse(value).success) fields[field] = value
  else delete fields[field]
}

type When = Extract<Transformation, { type: 'dropPerson' }>['when']

function meets(fields: Fields, when: When): boolean {
  const values = valuesAt(fields, when.field)
  if ('is' in when) return values.length === 0
  const wanted = when.equals.map(plain)
  return values.some((value) => wanted.includes(plain(value)))
}

const plain = (text: string): string => text.trim().toLowerCase()

/** With the country that the transformations name in place of the given one. */
export function configAs<S>(config: SendConfig<S>): SendConfig<S> {
  const country = countryOf(config.transformations ?? [])
  return country === undefined ? config : { ...config, defaultCountry: country }
}

/** Values that come from no identifier of the person. */
const fills = (one: Transformation): boolean => one.type === 'constant' || (one.type === 'map' && one.from === 'customerId')

/**
 * `prepare` of a person as the audience sends them. Whoever can be sent only because of a value that a rule filled in is not sent:
 * a country alone, the same for everyone, is no identifier.
 */
export function prepareAs<S>(destination: Pick<Destination<S>, 'prepare'>, person: Person, config: SendConfig<S>): Prepared {
  const { transformations = [] } = config
  if (transformations.length === 0) return destination.prepare(person, config)
  const as = configAs(config)
  const changed = transform(person, transformations)
  if (changed === null) return { sets: [], dropped: [], rejected: 'dropped_by_rule' }
  const prepared = destination.prepare(changed, as)
  if (prepared.rejected || !transformations.some(fills)) return prepared
  // The rules that leave people out have let this one pass already.
  const bare = transform(
    person,
    transformations.filter((one) => !fills(one) && one.type !== 'dropPerson'),
  )
  const without = destination.prepare(bare ?? person, as)
  return without.rejected ? without : prepared
}
