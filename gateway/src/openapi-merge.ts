/** One OpenAPI document of many: pure. */

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
type JsonObject = { [key: string]: Json }

export interface OpenApi {
  readonly openapi: string
  readonly info: JsonObject
  readonly paths?: Record<string, JsonObject>
  readonly components?: Record<string, JsonObject>
  readonly [more: string]: unknown
}

const METHODS = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'])

export interface MergeOptions {
  readonly info: JsonObject
  /** Whether this service answers that path; what it does not, is left out. */
  readonly owns?: (service: string, path: string) => boolean
}

/**
 * Puts the documents together in their order. Operations are tagged with their service and get an `operationId` of their own.
 * Components of one name and one content are one; of one name and another content, the later is renamed `<service>_<name>`.
 */
export function mergeOpenApi(documents: Readonly<Record<string, OpenApi>>, { info, owns = () => true }: MergeOptions): OpenApi {
  const paths: Record<string, JsonObject> = {}
  const components: Record<string, JsonObject> = {}
  const tags: Json[] = []
  for (const [service, document] of Object.entries(documents)) {
    const renamed = renames(document, components, service)
    for (const [kind, entries] of Object.entries(document.components ?? {})) {
      const known = components[kind] ?? {}
      components[kind] = known
      for (const [name, entry] of Object.entries(entries)) known[nameOf(renamed.get(ref(kind, name))) ?? name] = withRefs(entry, renamed)
    }
    const owned = Object.entries(document.paths ?? {}).filter(([path]) => owns(service, path))
    for (const [path, item] of owned) {
      const tagged = Object.entries(withRefs(item, renamed) as JsonObject).map(([key, value]) => [
        key,
        METHODS.has(key) ? operation(service, key, path, value as JsonObject) : value,
      ])
      paths[path] = { ...Object.fromEntries(tagged), ...paths[path] }
    }
    if (owned.length > 0) tags.push({ name: service })
  }
  const inOrder = Object.fromEntries(Object.entries(paths).toSorted(([a], [b]) => (a < b ? -1 : 1)))
  return { openapi: '3.1.0', info, tags, paths: inOrder, components: { ...components, schemas: reachable(inOrder, components.schemas ?? {}) } }
}

/** The schemas that operations use, directly or through others. A process with several services describes all its schemas in each. */
function reachable(paths: Json, schemas: JsonObject): JsonObject {
  const found: JsonObject = {}
  const left: Json[] = [paths]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    for (const [, name = ''] of JSON.stringify(next).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
      const schema = schemas[name]
      if (schema === undefined || Object.hasOwn(found, name)) continue
      found[name] = schema
      left.push(schema)
    }
  }
  return Object.fromEntries(Object.entries(found).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

const ref = (kind: string, name: string) => `#/components/${kind}/${name}`
const nameOf = (reference: string | undefined) => reference?.split('/').at(-1)

/** Old reference → new one. To the end of the chain: what points at a renamed component differs by that. */
function renames(document: OpenApi, components: Record<string, JsonObject>, service: string): Map<string, string> {
  const renamed = new Map<string, string>()
  const all = Object.entries(document.components ?? {}).flatMap(([kind, entries]) => Object.entries(entries).map(([name, entry]) => ({ kind, name, entry })))
  for (let before = -1; before < renamed.size; ) {
    before = renamed.size
    for (const { kind, name, entry } of all) {
      const known = components[kind]?.[name]
      if (known !== undefined && !same(known, withRefs(entry, renamed))) renamed.set(ref(kind, name), ref(kind, `${service}_${name}`))
    }
  }
  return renamed
}

const operation = (service: string, method: string, path: string, given: JsonObject): JsonObject => ({
  operationId: `${method}${path.replaceAll(/[^0-9A-Za-z]+/g, '_').replace(/_$/, '')}`,
  ...given,
  tags: [service],
})

function withRefs(value: Json, renamed: ReadonlyMap<string, string>): Json {
  if (Array.isArray(value)) return value.map((item) => withRefs(item, renamed))
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, key === '$ref' && typeof item === 'string' ? (renamed.get(item) ?? item) : withRefs(item, renamed)]),
  )
}

const same = (a: Json, b: Json) => sorted(a) === sorted(b)
const sorted = (value: Json): string =>
  JSON.stringify(value, (_key, part: Json) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
