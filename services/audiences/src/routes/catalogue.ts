/** What this installation can do: destinations, preview, the catalogue of errors. */
import { DestinationInfo, ErrorEntry, Preview, PreviewRequest } from '@audience-sync/contracts/rest/destinations'
import { previewRequests } from '@audience-sync/destination-kit/preview'
import { catalogue } from '@audience-sync/errors/catalogue'
import type { App } from '@audience-sync/service/app'
import { pageOf } from '@audience-sync/service/page'
import { z } from 'zod'
import { describe, destinationAt } from '../destinations.ts'
import { asSent } from '../normaliser.ts'
import { wordsOf } from '../reasons.ts'
import { defaultCountryOf } from '../tenant-default.ts'
import type { RouteParts } from './parts.ts'

const params = z.object({ destination: z.string() })
const config = { scope: 'audiences:read' } as const

export function catalogueRoutes(app: App, { db, destinations }: RouteParts): void {
  app.get('/v1/destinations', { config, schema: { tags: ['Catalogue'], summary: 'Destinations', response: { 200: pageOf(DestinationInfo) } } }, async () => ({
    data: [...destinations.values()].map(describe),
    nextCursor: null,
  }))

  app.get(
    '/v1/destinations/:destination',
    { config, schema: { tags: ['Catalogue'], summary: 'A destination: settings, limits, advice', params, response: { 200: DestinationInfo } } },
    async (request) => describe(destinationAt(destinations, request.params.destination)),
  )

  app.post(
    '/v1/destinations/:destination/preview',
    {
      config,
      schema: { tags: ['Catalogue'], summary: 'The requests that would be sent; nothing is sent', params, body: PreviewRequest, response: { 200: Preview } },
    },
    async (request) => {
      const known = destinationAt(destinations, request.params.destination)
      const { destination, country } = await db.tenant(request.auth.tenantId, async (tx) => ({
        destination: await asSent(tx, known),
        country: await defaultCountryOf(tx, request.auth.tenantId),
      }))
      const { requests, members } = previewRequests(destination, { ...request.body, defaultCountry: country ?? undefined })
      return {
        requests: requests.map((one) => ({ ...one, headers: { ...one.headers } })),
        members: members.map(({ dropped, rejected, ...member }) => ({
          ...member,
          dropped: [...dropped],
          rejected: rejected === null ? null : wordsOf(rejected),
        })),
      }
    },
  )

  const manifests = [...destinations.values()].map(({ manifest }) => manifest)
  const errors = Object.entries(catalogue).map(([code, entry]) => ({
    code,
    ...entry,
    platform: manifests.flatMap(({ id, platformCodes = [] }) =>
      platformCodes.filter((one) => one.code === code).map(({ platform }) => ({ destination: id, codes: [...platform] })),
    ),
  }))
  app.get(
    '/v1/errors',
    { config, schema: { tags: ['Catalogue'], summary: 'Every code that a caller can meet', response: { 200: pageOf(ErrorEntry) } } },
    async () => ({ data: errors, nextCursor: null }),
  )
}
