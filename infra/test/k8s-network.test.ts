/** Who may speak to whom: the policies against the addresses that the pods are given. */
import { BlockList } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import type { Resource } from './kustomized.ts'
import { given, labelsOf, nameOf, ofKind, podOf, type Workload, workloads } from './manifests.ts'

interface Selector {
  readonly matchLabels?: Record<string, string>
  readonly matchExpressions?: readonly { readonly key: string; readonly operator: string; readonly values: string[] }[]
}
interface Peer {
  readonly podSelector?: Selector
  readonly namespaceSelector?: Selector
  readonly ipBlock?: { readonly cidr: string; readonly except?: string[] }
}
interface Rule {
  readonly from?: readonly Peer[]
  readonly to?: readonly Peer[]
  readonly ports?: readonly { readonly protocol: string; readonly port: number }[]
}
interface Policy extends Resource {
  readonly spec: { readonly podSelector: Selector; readonly policyTypes: string[]; readonly ingress?: Rule[]; readonly egress?: Rule[] }
}
const policies = ofKind<Policy>('NetworkPolicy')

function selects({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Record<string, string>): boolean {
  const excluded = matchExpressions.some(({ key, operator, values }) => {
    if (operator !== 'NotIn') throw new Error(`${operator} is not understood here.`)
    return values.includes(labels[key] ?? '')
  })
  return !excluded && Object.entries(matchLabels).every(([key, value]) => labels[key] === value)
}
const rules = (workload: Workload, direction: 'ingress' | 'egress') =>
  policies.filter(({ spec }) => selects(spec.podSelector, labelsOf(workload))).flatMap(({ spec }) => spec[direction] ?? [])

const inCluster = (peers: readonly Peer[] = [], other: Workload) =>
  peers.some(({ podSelector, namespaceSelector }) => podSelector && !namespaceSelector && selects(podSelector, labelsOf(other)))
const onPort = ({ ports = [] }: Rule, port: number) => ports.some((one) => one.protocol === 'TCP' && one.port === port)
const mayCall = (from: Workload, to: Workload, port: number) =>
  rules(from, 'egress').some((rule) => onPort(rule, port) && inCluster(rule.to, to)) &&
  rules(to, 'ingress').some((rule) => onPort(rule, port) && inCluster(rule.from, from))

function includes(cidr: string, address: string): boolean {
  const [net = '', bits] = cidr.split('/')
  const list = new BlockList()
  list.addSubnet(net, Number(bits))
  return list.check(address)
}
const mayReach = (workload: Workload, address: string) =>
  rules(workload, 'egress').filter(({ to }) => {
    if (!to) return true // a rule without peers is for everybody
    return to.some(({ ipBlock }) => ipBlock && includes(ipBlock.cidr, address) && !(ipBlock.except ?? []).some((cidr) => includes(cidr, address)))
  })
/** Of a rule without ports: 0, for every port. */
const portsTo = (workload: Workload, address: string): number[] =>
  mayReach(workload, address).flatMap(({ ports = [{ port: 0 }] }) => ports.map(({ port }) => port))

const variablesOf = (workload: Workload) => podOf(workload).containers[0].env
const PEER = /^http:\/\/([a-z-]+):(\d+)$/
/** The services that a pod is told the address of. */
const told = (workload: Workload) =>
  variablesOf(workload).flatMap((variable) => {
    const [, name, port] = PEER.exec(given(variable) ?? '') ?? []
    return name ? [`${name}:${port}`] : []
  })

const PLATFORM = '157.240.1.1'
const PRIVATE = ['10.1.2.3', '172.16.0.1', '192.168.1.1']
const METADATA = ['169.254.169.254', '169.254.170.2', '100.100.100.200']

test('Nobody speaks to anybody unless a policy says so', () => {
  const deny = policies.filter(({ spec }) => Object.keys(spec.podSelector).length === 0 && !spec.ingress && !spec.egress)
  expect(deny.map(({ spec }) => spec.policyTypes)).toEqual([['Ingress', 'Egress']])
  for (const { spec } of policies) {
    expect(spec.ingress === undefined || spec.policyTypes.includes('Ingress')).toBe(true)
    expect(spec.egress === undefined || spec.policyTypes.includes('Egress')).toBe(true)
  }
})

describe.each(workloads.map((workload) => [nameOf(workload), workload] as const))('%s', (name, workload) => {
  const has = (variable: string) => variablesOf(workload).some((one) => one.name === variable)

  test('may call exactly the services whose addresses it is given', () => {
    const callable = workloads.flatMap((other) => {
      const port = podOf(other).containers[0].ports?.[0]?.containerPort
      return port && mayCall(workload, other, port) ? [`${nameOf(other)}:${port}`] : []
    })
    expect(callable.sort()).toEqual(told(workload).sort())
  })

  test('reaches the database, and the broker if it is given one', () => {
    for (const address of PRIVATE) expect(portsTo(workload, address).sort()).toEqual(has('KAFKA_BROKERS') ? [5432, 9092, 9093] : [5432])
  })

  test('reaches public addresses only for a platform or a customer’s endpoint, and there by TLS only', () => {
    const reached = name === 'webhooks' ? [443, 8443] : name.startsWith('connector-') || name === 'connections' ? [443] : []
    expect(portsTo(workload, PLATFORM)).toEqual(reached)
  })

  test('never reaches where a cloud keeps the keys of its machines', () => {
    for (const address of METADATA) expect(portsTo(workload, address)).toEqual([])
  })

  test('asks for names', () => {
    const dns = rules(workload, 'egress').filter(({ ports }) => ports?.some(({ port }) => port === 53))
    expect(dns.map(({ ports }) => ports)).toEqual([
      [
        { protocol: 'UDP', port: 53 },
        { protocol: 'TCP', port: 53 },
      ],
    ])
  })
})

test('From outside the namespace only the door is open, to the gateway only', () => {
  const outside = workloads.flatMap((workload) =>
    rules(workload, 'ingress')
      .filter(({ from }) => !from || from.some(({ podSelector, namespaceSelector, ipBlock }) => !podSelector || namespaceSelector || ipBlock))
      .map((rule) => ({ to: nameOf(workload), rule })),
  )
  expect(outside).toEqual([
    {
      to: 'gateway',
      rule: { from: [{ namespaceSelector: { matchLabels: { 'audience-sync/door': 'open' } } }], ports: [{ protocol: 'TCP', port: 8080 }] },
    },
  ])
})
