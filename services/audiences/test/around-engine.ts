/** The service beside a real engine and a twin, on one database: what a plan promises is held against what a run did. */
import { publicId } from '@audience-sync/contracts/ids'
import { identifierGroups } from '@audience-sync/contracts/people'
import type { Transport } from '@audience-sync/events/transport'
import { buildApp } from '@audience-sync/service/app'
import { createLogger } from '@audience-sync/service/log'
import { scopes } from '@audience-sync/service/scopes'
import { generateServiceTokens } from '@audience-sync/service/tokens'
import { makeWorld, type World, type WorldOptions } from '../../../packages/sync-engine/test/world.ts'
import { start } from '../src/start.ts'
import type { Answer } from './rig.ts'

const log = createLogger({ name: 'audiences', level: process.env.TEST_LOG ?? 'silent' })

export interface Around {
  readonly world: World
  readonly audienceId: string
  readonly url: string
  /** Of the tenant's caller, for requests that are no JSON. */
  token(): Promise<string>
  call(method: string, path: string, body?: unknown): Promise<Answer>
  close(): Promise<void>
}

export async function startAround(options: WorldOptions = {}): Promise<Around> {
  const world = await makeWorld(options)
  const { behavior, tenantId, database } = world
  const tokens = await generateServiceTokens(['audiences', 'behavior-export', 'connections', 'gateway'])

  const exporter = await buildApp({ name: 'behavior-export', log, tokens: tokens['behavior-export'] })
  const feed = behavior.feed()
  const at = '/internal/v1/behaviors/:id'
  exporter.get(`${at}/horizon`, () => feed.horizon())
  exporter.get(`${at}/changes`, ({ query }) => {
    const { after, below } = query as { after: string; below: string }
    return feed.changes(after, below)
  })
  exporter.get(`${at}/members`, ({ query }) => feed.members(Number((query as { afterCustomer: string }).afterCustomer)))
  exporter.get(`${at}/eligible`, ({ query }) => {
    const { purpose, groups, atMost } = query as { purpose: 'ads'; groups: string; atMost?: string }
    return feed.eligible(purpose, Number(groups), atMost ? Number(atMost) : undefined)
  })
  exporter.post(`${at}/rows`, async ({ body }) => {
    const rows = await feed.rows((body as { customers: number[] }).customers)
    return { rows, count: rows.length }
  })
  exporter.post(`${at}/fetch`, ({ body }) => {
    const { customers, purpose } = body as { customers: number[]; purpose: 'ads' }
    return feed.fetch(customers, purpose)
  })
  exporter.get(`${at}/health`, async () => ({
    members: 0,
    unknown: 0,
    unmatchable: 0,
    sendable: { ads: 0, ads_ldu: 0, crm: 0 },
    suppressed: { consent_denied: 0, opted_out: 0 },
    identifiers: Object.fromEntries(identifierGroups.map((group) => [group, { present: 3, usable: 2, unusable: { [`${group}_malformed`]: 1 } }])),
  }))
  exporter.post('/internal/v1/customers/resolve', async ({ body }) => {
    const { numbers = [] } = body as { numbers?: number[] }
    return { customers: numbers.map((no) => ({ no, customerId: `c_${no}` })) }
  })
  const exporterUrl = await exporter.listen({ host: '127.0.0.1', port: 0 })

  const transport = { subscribe: async () => ({ stop: async () => {}, healthy: () => ({ ok: true, detail: 'test' }) }) } as unknown as Transport
  const running = await start(
    {
      DATABASE_URL: database.url('audiences'),
      HOST: '127.0.0.1',
      PORT: 0,
      BEHAVIOR_EXPORT_URL: exporterUrl,
      CONNECTIONS_URL: exporterUrl,
      SIZE_CHECK_MS: 60_000,
      ERASURE_CHECK_MS: 60_000,
    },
    { log, transport, tokens: tokens.audiences },
  )
  await database.admin(`UPDATE sync.audience SET retry_policy = '{"attempts": 8, "windowHours": 24}'`) // the world's is empty, and would not be shown
  const token = () => tokens.gateway.sign('audiences', { tenantId, subject: 'key_test', scopes })
  const { id } = await world.audience()
  return {
    world,
    audienceId: publicId('audience', id as string),
    url: running.url,
    token,
    async call(method, path, body) {
      const response = await fetch(`${running.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${await token()}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      return { status: response.status, body: await response.json() }
    },
    async close() {
      await running.stop()
      await exporter.close()
      await world.close()
    },
  }
}
