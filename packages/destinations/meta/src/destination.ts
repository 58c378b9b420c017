/**
 * Meta Custom Audiences as a destination. The parts: `manifest` (what Meta takes), `payload` and `encode` (a person → rows →
 * bytes), `client` (one call), `error-table` and `failure` (what an answer means), `push`, `audiences`.
 */
import type { Destination } from '@audience-sync/destination-kit/contract'
import { guardedClient } from '@audience-sync/http/client'
import { metaAudiences } from './audiences.ts'
import { createGraph, type Http } from './client.ts'
import { encode } from './encode.ts'
import type { Alarm } from './failure.ts'
import { metaLookalikes } from './lookalikes.ts'
import { type MetaSettings, metaManifest } from './manifest.ts'
import { removeEverywhere } from './opt-out.ts'
import { lane, prepare } from './payload.ts'
import { push } from './push.ts'
import { replaceList } from './replace.ts'
import { metaSessions } from './sessions.ts'
import { currentVersion, refuseDeadVersion } from './versions.ts'

export interface MetaDestinationOptions {
  /** Scheme and host: `https://graph.facebook.com`, or a twin. */
  readonly baseUrl: string
  readonly apiVersion?: string
  readonly http?: Http
  /** Someone should look: an error code that nobody described, or a version that ends. */
  readonly onAlarm?: (alarm: Alarm) => void
}

export function createMetaDestination({
  baseUrl,
  apiVersion = currentVersion,
  http = guardedClient({ baseUrl, name: 'Meta' }),
  onAlarm = () => {},
}: MetaDestinationOptions): Destination<MetaSettings> {
  refuseDeadVersion(apiVersion, new Date())
  const graph = createGraph(http, onAlarm)
  const { seeing, ...audiences } = metaAudiences(graph, apiVersion)

  return {
    manifest: metaManifest(apiVersion),
    prepare,
    lane,
    encode: (batch) => encode(batch, apiVersion),
    push: (ctx, request) => {
      const [, , to = ''] = request.path.split('/')
      // To the account it goes for all audiences: there is none to look for.
      return to.startsWith('act_') ? push(graph, ctx, request) : seeing(ctx, to, push(graph, ctx, request))
    },
    removeEverywhere: removeEverywhere(apiVersion),
    replaceList: replaceList(graph, apiVersion),
    settle: (ctx, externalId, batches) => seeing(ctx, externalId, audiences.settle(ctx, externalId, batches)),
    sessions: metaSessions(graph, apiVersion),
    findAudiences: audiences.find,
    createAudience: audiences.create,
    readAudience: audiences.read,
    adoptAudience: audiences.adopt,
    updateAudience: (ctx, externalId, changes) => seeing(ctx, externalId, audiences.update(ctx, externalId, changes)),
    deleteAudience: audiences.delete,
    lookalikes: metaLookalikes(graph, apiVersion, { read: audiences.readNode, delete: audiences.delete }),
  }
}
