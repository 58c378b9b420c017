/** `fields=` selection and cursor paging, as every Graph node and list has them. */
import { invalidParameter, reduceData, unknownField } from './errors.ts'
import type { Params } from './params.ts'

type Selection = Map<string, Selection | undefined>

/** Parses `id,name,business{id,name}`. @throws GraphError 2500-like syntax errors as 100 */
export const parseFields = (text: string): Selection => {
  let position = 0
  const list = (nested: boolean): Selection => {
    const selection: Selection = new Map()
    for (;;) {
      const name = /^[a-z_0-9]+/.exec(text.slice(position))?.[0]
      if (name === undefined) throw invalidParameter(`Syntax error in fields at position ${position}`, 'fields')
      position += name.length
      let inner: Selection | undefined
      if (text[position] === '{') {
        position += 1
        inner = list(true)
      }
      selection.set(name, inner)
      const next = text[position++]
      if (next === ',') continue
      if (nested ? next === '}' : next === undefined) return selection
      throw invalidParameter(`Syntax error in fields at position ${position - 1}`, 'fields')
    }
  }
  return list(false)
}

/** A node as far as it can be read: known fields, those that have a value, and what comes without being asked for. */
export type NodeType = { name: string; known: ReadonlySet<string>; byDefault: readonly string[] }

/** Only the fields asked for, `id` always; known fields without a value are left out, as the platform does. @throws GraphError 100 for unknown ones */
export const select = (values: Readonly<Record<string, unknown>>, type: NodeType, fields: string | undefined): Record<string, unknown> => {
  const selection = fields === undefined ? new Map(type.byDefault.map((name) => [name, undefined])) : parseFields(fields.replaceAll(' ', ''))
  const chosen: Record<string, unknown> = {}
  for (const [name, inner] of selection) {
    if (!type.known.has(name)) throw unknownField(name, type.name)
    const value = values[name]
    if (value === undefined) continue
    chosen[name] = inner === undefined ? value : pick(value, inner)
  }
  return { ...chosen, ...(values.id === undefined ? {} : { id: values.id }) }
}

const pick = (value: unknown, selection: Selection): unknown =>
  typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).filter(([name]) => selection.has(name))) : value

const DEFAULT_PAGE = 25
/** Bigger pages are answered with code 1, "reduce the amount of data" (§1); where the platform draws the line is not known. */
const LARGEST_PAGE = 100

/** One page of a list that is in a stable order; cursors name the last or first id of a page. */
export const page = <T extends { id: string }>(items: readonly T[], params: Params, url: string, show: (item: T) => unknown): unknown => {
  const limit = params.integer('limit', { min: 1 }) ?? DEFAULT_PAGE
  if (limit > LARGEST_PAGE) throw reduceData()
  const after = params.text('after')
  const before = params.text('before')
  const start = after !== undefined ? placeOf(items, after) + 1 : before !== undefined ? Math.max(0, placeOf(items, before) - limit) : 0
  const shown = items.slice(start, start + limit)
  const [first, last] = [shown[0], shown.at(-1)]
  if (first === undefined || last === undefined) return { data: [] }
  const end = start + shown.length
  const cursors = { before: cursor(first.id, start), after: cursor(last.id, end - 1) }
  const link = (name: 'after' | 'before') => {
    const target = new URL(url)
    target.searchParams.delete('access_token')
    target.searchParams.delete('after')
    target.searchParams.delete('before')
    target.searchParams.set(name, cursors[name])
    return target.href
  }
  return {
    data: shown.map(show),
    paging: {
      cursors,
      ...(end < items.length ? { next: link('after') } : {}),
      ...(start > 0 ? { previous: link('before') } : {}),
    },
  }
}

/** Names an item and where it stood, for the case that it is deleted while someone pages. */
const cursor = (id: string, position: number) => Buffer.from(`${position}:${id}`).toString('base64url')
/** Where the item of a cursor stands; if it is gone, the place before the one that moved up into its place. */
const placeOf = <T extends { id: string }>(items: readonly T[], given: string): number => {
  const [, position, id] = /^(\d+):(\d+)$/.exec(Buffer.from(given, 'base64url').toString()) ?? []
  if (position === undefined) throw invalidParameter('Invalid cursor', 'after')
  const found = items.findIndex((item) => item.id === id)
  return found >= 0 ? found : Number(position) - 1
}
