/** The manifests of `k8s/` as typed things: what the tests of them read, and no more. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { k8s, kustomized, type Resource } from './kustomized.ts'

interface Reference {
  readonly name: string
  readonly key: string
}
export interface Variable {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: { readonly configMapKeyRef?: Reference; readonly secretKeyRef?: Reference }
}
export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
}
export interface Container {
  readonly name: string
  readonly image: string
  readonly command?: readonly string[]
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[]
  readonly env: readonly Variable[]
  readonly resources: { readonly requests: Record<string, string>; readonly limits: Record<string, string> }
  readonly securityContext: object
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
  readonly lifecycle: object
  readonly startupProbe: Probe
  readonly readinessProbe: Probe
  readonly livenessProbe: Probe
}
export interface PodSpec {
  readonly automountServiceAccountToken: boolean
  readonly enableServiceLinks: boolean
  readonly serviceAccountName: string
  readonly terminationGracePeriodSeconds: number
  readonly topologySpreadConstraints: readonly { readonly topologyKey: string; readonly labelSelector: object; readonly matchLabelKeys: string[] }[]
  readonly securityContext: object
  readonly containers: readonly [Container, ...Container[]]
  readonly initContainers?: readonly Container[]
  readonly volumes: readonly { readonly name: string; readonly emptyDir?: { readonly sizeLimit?: string } }[]
}
export interface Workload extends Resource {
  readonly spec: {
    readonly replicas?: number
    readonly strategy?: object
    readonly selector: { readonly matchLabels: Record<string, string> }
    readonly template: { readonly metadata: { readonly labels: Record<string, string> }; readonly spec: PodSpec }
  }
}

/** One folder for each connector, and one for all the rest. */
const overlays = readdirSync(join(k8s, 'overlays'))
export const all: readonly Resource[] = overlays.flatMap((overlay) => kustomized(join('overlays', overlay)))

export const ofKind = <T extends Resource>(kind: string): T[] => all.filter((resource) => resource.kind === kind) as T[]
export const deployments = ofKind<Workload>('Deployment')
export const workloads: readonly Workload[] = [...deployments, ...ofKind<Workload>('Job')]
export const nameOf = ({ metadata }: Resource) => metadata.name
export const podOf = ({ spec }: Workload) => spec.template.spec
export const labelsOf = ({ spec }: Workload) => spec.template.metadata.labels

/** What a variable says, if it stands in the files; undefined if the installation gives it. */
export function given({ value, valueFrom }: Variable): string | undefined {
  const { name, key } = valueFrom?.configMapKeyRef ?? {}
  const map = ofKind<Resource & { data: Record<string, string> }>('ConfigMap').find(({ metadata }) => metadata.name === name)
  return value ?? map?.data[key ?? '']
}
