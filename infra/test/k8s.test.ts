/** The manifests without a cluster: RELIABILITY.md §3.8, line by line, for every pod. */
import { readdirSync } from 'node:fs'
import { topics } from '@audience-sync/contracts/events/topics'
import { topicPlans } from '@audience-sync/infra/kafka/topics'
import { describe, expect, test } from '@jest/globals'
import type { Resource } from './kustomized.ts'
import { all, deployments, labelsOf, nameOf, ofKind, podOf, workloads } from './manifests.ts'

const services = readdirSync(new URL('../../services/', import.meta.url))

test('Each service, the gateway and the relay have a deployment, and the migrations a job', () => {
  expect(deployments.map(nameOf).sort()).toEqual([...services, 'gateway', 'relay'].sort())
  expect(ofKind('Job').map(nameOf)).toEqual(['setup'])
})

test('The namespace refuses pods that are not restricted, and everything is in it', () => {
  const [namespace, ...others] = ofKind('Namespace')
  expect(others).toEqual([])
  expect(namespace?.metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' })
  const elsewhere = all.filter(({ kind, metadata }) => kind !== 'Namespace' && metadata.namespace !== namespace?.metadata.name)
  expect(elsewhere).toEqual([])
})

test('No secret stands in the files', () => expect(ofKind('Secret')).toEqual([]))

describe.each(workloads.map((workload) => [nameOf(workload), workload] as const))('%s', (name, workload) => {
  const pod = podOf(workload)
  const [container] = pod.containers

  test('runs as nobody in particular, with no rights at all', () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 10_001, seccompProfile: { type: 'RuntimeDefault' } })
    expect(pod).toMatchObject({ containers: [{ name: 'main' }] })
    expect(pod.containers).toHaveLength(1)
    expect(pod.initContainers).toBeUndefined()
    expect(container.securityContext).toEqual({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } })
  })

  test('has no token of Kubernetes, and an account of its own', () => {
    expect(pod).toMatchObject({ automountServiceAccountToken: false, serviceAccountName: name })
    expect(ofKind('ServiceAccount').filter((account) => nameOf(account) === name)).toMatchObject([{ automountServiceAccountToken: false }])
  })

  test('writes to /tmp only, and not without end', () => {
    expect(container.volumeMounts).toEqual([{ name: 'tmp', mountPath: '/tmp' }])
    expect(pod.volumes).toEqual([{ name: 'tmp', emptyDir: { sizeLimit: expect.stringMatching(/^\d+Mi$/) } }])
  })

  test('says what it needs and how much memory it may have', () => {
    expect(container.resources).toMatchObject({
      requests: { cpu: expect.stringMatching(/^\d+m$/), memory: expect.stringMatching(/^\d+[MG]i$/) },
      limits: { memory: expect.stringMatching(/^\d+[MG]i$/) },
    })
  })

  test('is an image by digest', () => expect(container.image).toMatch(new RegExp(`^[a-z0-9.:/-]+/${name}@sha256:[0-9a-f]{64}$`)))
})

describe.each(deployments.map((deployment) => [nameOf(deployment), deployment] as const))('%s', (name, deployment) => {
  const pod = podOf(deployment)
  const [container] = pod.containers
  const own = { 'app.kubernetes.io/name': name }

  test('is asked whether it has started, is ready, and turns', () => {
    const [livez, readyz] = ['/livez', '/readyz'].map((path) => ({ httpGet: { path, port: 'probes' } }))
    expect(container).toMatchObject({ startupProbe: livez, readinessProbe: readyz, livenessProbe: livez })
    expect(container.ports?.map((port) => port.name)).toEqual(['probes'])
  })

  test('has 10 s until nobody calls it any more, and 60 s to end', () => {
    expect(container.lifecycle).toEqual({ preStop: { sleep: { seconds: 10 } } })
    expect(pod.terminationGracePeriodSeconds).toBe(60)
  })

  test('is replaced without a gap, one pod at a time', () => {
    expect(deployment.spec.strategy).toEqual({ type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } })
    const budgets = ofKind<Resource & { spec: object }>('PodDisruptionBudget').filter((budget) => nameOf(budget) === name)
    expect(budgets.map(({ spec }) => spec)).toEqual([{ maxUnavailable: 1, selector: { matchLabels: own } }])
    expect(deployment.spec.selector.matchLabels).toEqual(own)
  })

  test('is spread over machines and zones', () => {
    expect(labelsOf(deployment)).toMatchObject({ ...own, 'app.kubernetes.io/part-of': 'audience-sync' })
    expect(pod.topologySpreadConstraints.map(({ topologyKey }) => topologyKey)).toEqual(['kubernetes.io/hostname', 'topology.kubernetes.io/zone'])
    for (const spread of pod.topologySpreadConstraints) {
      expect(spread.labelSelector).toEqual({ matchExpressions: [{ key: 'app.kubernetes.io/part-of', operator: 'Exists' }] })
      expect(spread.matchLabelKeys).toContain('app.kubernetes.io/name')
    }
  })
})

interface ScaledObject extends Resource {
  readonly spec: {
    readonly scaleTargetRef: { readonly name: string }
    readonly minReplicaCount: number
    readonly maxReplicaCount: number
    readonly triggers: readonly { readonly type: string; readonly metadata: object }[]
  }
}
const connectors = deployments.filter((deployment) => labelsOf(deployment)['app.kubernetes.io/component'] === 'connector')

test('Every connector is one that says so', () => expect(connectors.map(nameOf)).toEqual(services.filter((name) => name.startsWith('connector-'))))

test.each(connectors.map((connector) => [nameOf(connector), connector] as const))('%s is scaled by what waits for it', (name, connector) => {
  const [scaled, ...others] = ofKind<ScaledObject>('ScaledObject').filter(({ spec }) => spec.scaleTargetRef.name === name)
  expect(others).toEqual([])
  expect(connector.spec.replicas).toBeUndefined() // else each apply would undo the scaling
  const topic = topics.audienceSyncRequested.name
  expect(scaled?.spec.triggers).toEqual([
    {
      type: 'kafka',
      metadata: {
        bootstrapServersFromEnv: 'KAFKA_BROKERS',
        consumerGroup: `${name}.sync-requested`,
        topic,
        lagThreshold: '500',
        offsetResetPolicy: 'earliest',
        excludePersistentLag: 'true',
      },
    },
  ])
  expect(scaled?.spec.minReplicaCount).toBeGreaterThanOrEqual(1)
  expect(scaled?.spec.maxReplicaCount).toBeLessThanOrEqual(topicPlans.find((plan) => plan.topic === topic)?.numPartitions ?? 0)
})
