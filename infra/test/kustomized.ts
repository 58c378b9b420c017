/**
 * What `kubectl kustomize` makes of a folder of `k8s/`, for the few features that are used there; anything else is refused, so that
 * no manifest is tested as something it is not. Plain reading of YAML, because CI has no kubectl.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'

export const k8s = new URL('../../k8s/', import.meta.url).pathname

type Labels = Record<string, string>
interface Patch {
  readonly path: string
  readonly target?: { readonly kind: string }
}
interface Kustomization {
  readonly apiVersion: string
  readonly kind: string
  readonly namespace?: string
  readonly nameSuffix?: string
  readonly resources?: readonly string[]
  readonly components?: readonly string[]
  readonly patches?: readonly Patch[]
  readonly labels?: readonly { readonly pairs: Labels; readonly includeSelectors: boolean }[]
  readonly images?: readonly { readonly name: string; readonly newName?: string; readonly digest: string }[]
}
const KNOWN = ['apiVersion', 'kind', 'namespace', 'nameSuffix', 'resources', 'components', 'patches', 'labels', 'images']

type Tree = { [key: string]: unknown }
export interface Resource extends Tree {
  readonly apiVersion: string
  readonly kind: string
  metadata: { name: string; namespace?: string; labels?: Labels }
}

const read = <T>(path: string): T => parse(readFileSync(path, 'utf8')) as T
const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value)
const isNamed = (value: unknown): value is Tree[] => Array.isArray(value) && value.every((item) => isTree(item) && 'name' in item)

/** A strategic merge: objects by key, lists of named things by name, everything else replaced. */
function merged(base: unknown, patch: unknown): unknown {
  if (isTree(base) && isTree(patch)) {
    const keys = new Set([...Object.keys(base), ...Object.keys(patch)])
    return Object.fromEntries([...keys].map((key) => [key, key in patch ? (key in base ? merged(base[key], patch[key]) : patch[key]) : base[key]]))
  }
  if (!isNamed(base) || !isNamed(patch)) return patch
  const names = new Set([...base, ...patch].map(({ name }) => name))
  return [...names].map((name) => {
    const [old, added] = [base, patch].map((list) => list.find((item) => item.name === name))
    return old && added ? merged(old, added) : (old ?? added)
  })
}

function patched(resource: Resource, folder: string, { path, target }: Patch): Resource {
  const { apiVersion: _version, kind, metadata, ...rest } = read<Resource>(join(folder, path))
  const meant = target ? resource.kind === target.kind : resource.kind === kind && resource.metadata.name === metadata.name
  return meant ? (merged(resource, rest) as Resource) : resource
}

/** The objects of one folder, as they would be applied. */
export function kustomized(folder: string): Resource[] {
  const at = join(k8s, folder)
  const own = read<Kustomization>(join(at, 'kustomization.yaml'))
  const unknown = Object.keys(own).filter((key) => !KNOWN.includes(key))
  if (unknown.length > 0) throw new Error(`${folder}: ${unknown.join(', ')} is not understood here.`)

  let resources = (own.resources ?? []).flatMap((path) =>
    path.endsWith('.yaml')
      ? parseAllDocuments(readFileSync(join(at, path), 'utf8')).map((document) => document.toJS() as Resource)
      : kustomized(join(folder, path)),
  )
  for (const component of own.components ?? []) {
    const { patches = [] } = read<Kustomization>(join(at, component, 'kustomization.yaml'))
    for (const patch of patches) resources = resources.map((resource) => patched(resource, join(at, component), patch))
  }
  for (const patch of own.patches ?? []) resources = resources.map((resource) => patched(resource, at, patch))
  return resources.map((resource) => named(labelled(imaged(resource, own), own), own))
}

interface Templated {
  selector?: { matchLabels?: Labels }
  template?: { metadata: { labels: Labels }; spec: { serviceAccountName: string; containers: { image: string }[] } }
}
const templated = (resource: Resource) => (isTree(resource.spec) ? (resource.spec as Templated) : {})

function imaged(resource: Resource, { images = [] }: Kustomization): Resource {
  for (const container of templated(resource).template?.spec.containers ?? []) {
    const found = images.find(({ name }) => name === container.image)
    if (found) container.image = `${found.newName ?? found.name}@${found.digest}`
  }
  return resource
}

function labelled(resource: Resource, { labels = [] }: Kustomization): Resource {
  for (const { pairs, includeSelectors } of labels) {
    if (!includeSelectors) throw new Error('Labels without selectors are not understood here.')
    const { selector, template } = templated(resource)
    resource.metadata.labels = { ...resource.metadata.labels, ...pairs }
    if (selector?.matchLabels) Object.assign(selector.matchLabels, pairs)
    if (template) Object.assign(template.metadata.labels, pairs)
  }
  return resource
}

/** The suffix reaches the name and the service account, whose name is the deployment's. */
function named(resource: Resource, { namespace, nameSuffix = '' }: Kustomization): Resource {
  const { template } = templated(resource)
  if (resource.kind === 'Namespace') return resource
  if (namespace) resource.metadata.namespace = namespace
  resource.metadata.name += nameSuffix
  if (template) template.spec.serviceAccountName += nameSuffix
  return resource
}
