/** One installation for the tests of a file: made before the first, stopped after the last, and nothing may have crashed. */

import { uuidOf } from '@audience-sync/contracts/ids'
import { type System, type SystemOptions, startSystem } from '@audience-sync/testing/conductor'
import { type Client, type ConnectedMeta, connectMeta, DEMO_ACCOUNT, newTenant } from '@audience-sync/testing/conductor-client'
import { afterAll, beforeAll, expect } from '@jest/globals'

export interface Tenant {
  /** UUID, as events name it. */
  readonly id: string
  readonly client: Client
  /** The API key behind `client`. */
  readonly key: string
  readonly connection: ConnectedMeta
  /** Of the account that works. */
  readonly accountId: string
}

export interface Stage {
  readonly bus: 'kafka' | 'embedded'
  readonly system: System
  /** A tenant of one's own, connected to Meta. */
  tenant(slug: string): Promise<Tenant>
}

const START_MS = 300_000 // eight processes on a machine that runs other tests beside
const STOP_MS = 120_000 // the gateway first, then all others at once, each within what `conductor-process` gives it

export function installation(bus: 'kafka' | 'embedded', env: SystemOptions['env'] = {}): Stage {
  let running: System | undefined
  beforeAll(async () => {
    running = await startSystem({ bus, env })
  }, START_MS)

  afterAll(async () => {
    const crashes = running?.crashes() ?? []
    const codes = await running?.stop()
    expect(crashes).toEqual([])
    expect(Object.entries(codes ?? {}).filter(([, code]) => code !== 0)).toEqual([]) // all stop when asked to
  }, STOP_MS)

  const system = (): System => {
    if (!running) throw new Error('The installation does not run.')
    return running
  }
  return {
    bus,
    get system() {
      return system()
    },
    async tenant(slug) {
      const { url, adminKey, twin } = system()
      const { id, client, key } = await newTenant(url, adminKey, slug)
      const connection = await connectMeta(client, twin)
      return { id: uuidOf('tenant', id) ?? '', client, key, connection, accountId: connection.accounts.get(DEMO_ACCOUNT).id }
    },
  }
}
