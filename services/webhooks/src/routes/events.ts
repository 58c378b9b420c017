import { EventTypeList } from '@audience-sync/contracts/rest/webhooks'
import type { App } from '@audience-sync/service/app'
import { streamer } from '@audience-sync/service/streaming'
import { z } from 'zod'
import { positionOf, STREAM_MS, streamEvents } from '../stream.ts'
import type { RouteParts } from './parts.ts'

const STREAM_GRACE_MS = 10_000 // a stream ends by itself before it is cut

export function eventRoutes(app: App, { db }: RouteParts): void {
  const stream = streamer(app)

  app.get(
    '/v1/events',
    {
      config: { scope: 'audiences:read', alsoAnswers: [{ status: 200, description: 'Server-sent events', type: 'text/event-stream' }] },
      handlerTimeout: STREAM_MS + STREAM_GRACE_MS,
      schema: {
        tags: ['Webhooks'],
        summary: 'What happens, as it happens: server-sent events named by type, from Last-Event-ID on',
        querystring: z.strictObject({ types: EventTypeList.optional() }),
      },
    },
    async ({ auth: { tenantId }, query: { types }, headers }, reply) => {
      const last = headers['last-event-id']
      const after = typeof last === 'string' && last !== '' ? positionOf(last) : undefined
      return stream(reply, 'text/event-stream', (signal) => streamEvents(db, { tenantId, after, types, signal }))
    },
  )
}
