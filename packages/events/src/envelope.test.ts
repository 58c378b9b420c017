import { header } from '@audience-sync/contracts/events/headers'
import { topics } from '@audience-sync/contracts/events/topics'
import { describe, expect, test } from '@jest/globals'
import { open, withTenantId } from './envelope.ts'
import type { InRecord } from './transport.ts'

const TENANT = '01932f1c-7a4e-7cc1-9b1f-3d5f6a7b8c9d'
const record = (tenant: string, value: object, more: Record<string, string> = {}): InRecord => ({
  topic: topics.behaviorMembershipChanged.name,
  partition: 0,
  offset: '1',
  key: 'k',
  headers: { [header.id]: 'e1', [header.tenant]: tenant, ...more },
  value: Buffer.from(JSON.stringify(value)),
})
const nobody = async () => undefined

describe('an event of another team', () => {
  test('names its tenant by UUID, bare or as the API shows it', async () => {
    for (const name of [TENANT, `ten_${TENANT}`]) {
      expect(open(topics.behaviorMembershipChanged, await withTenantId(record(name, {}), nobody)).tenantId).toBe(TENANT)
    }
  })

  test('or by the name that the tenant is known by', async () => {
    const named = await withTenantId(record('demo', {}), async (name) => (name === 'demo' ? TENANT : undefined))
    expect(open(topics.behaviorMembershipChanged, named).tenantId).toBe(TENANT)
    const unknown = await withTenantId(record('nobody', {}), nobody)
    expect(() => open(topics.behaviorMembershipChanged, unknown)).toThrow(expect.objectContaining({ code: 'tenant_missing' }))
  })

  test('is read as JSON when it says so, or says nothing and stands in braces', () => {
    const value = { behaviorKey: 'b', changes: [{ customerId: 'c', member: true, occurredAt: '2026-11-01T10:00:00Z' }] }
    for (const more of [{}, { [header.contentType]: 'application/json' }]) {
      expect(open(topics.behaviorMembershipChanged, record(TENANT, value, more)).message.changes).toHaveLength(1)
    }
    expect(() => open(topics.syncCompleted, { ...record(TENANT, value), topic: topics.syncCompleted.name })).toThrow(
      expect.objectContaining({ code: 'message_malformed' }),
    )
  })
})
