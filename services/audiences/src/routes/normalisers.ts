/** Normalisers in shadow: asking what another version would change, and reading it. */
import { NormaliserReport, NormaliserReportRequest, NormaliserSummary } from '@audience-sync/contracts/rest/normalisers'
import type { App } from '@audience-sync/service/app'
import { idempotent } from '@audience-sync/service/idempotency'
import { z } from 'zod'
import { destinationAt } from '../destinations.ts'
import { askReport, askReports, lastReport, summary } from '../normaliser.ts'
import { findAudience } from '../store.ts'
import type { RouteParts } from './parts.ts'

const tags = ['Normalisers']
const version = z.object({ version: z.coerce.number().int().optional().meta({ description: 'only of this version' }) })
const body = NormaliserReportRequest.nullish()

export function normaliserRoutes(app: App, { db, destinations }: RouteParts): void {
  const ofAudience = z.object({ id: z.string() })
  app.post(
    '/v1/audiences/:id/normaliser-report',
    {
      config: { scope: 'syncs:write' },
      schema: { tags, summary: 'Count what another normaliser would change; nothing is sent', params: ofAudience, body, response: { 202: NormaliserReport } },
    },
    (request, reply) =>
      idempotent(db, request, reply, async (tx) => ({
        status: 202,
        body: await askReport(tx, await findAudience(tx, request.params.id), NormaliserReportRequest.parse(request.body ?? {})),
      })),
  )
  app.get(
    '/v1/audiences/:id/normaliser-report',
    {
      config: { scope: 'audiences:read' },
      schema: { tags, summary: 'The newest report', params: ofAudience, querystring: version, response: { 200: NormaliserReport } },
    },
    ({ auth, params: { id }, query }) => db.tenant(auth.tenantId, async (tx) => lastReport(tx, await findAudience(tx, id), query.version)),
  )

  const ofDestination = z.object({ destination: z.string() })
  app.post(
    '/v1/destinations/:destination/normaliser-report',
    {
      config: { scope: 'syncs:write' },
      schema: { tags, summary: 'The same for every audience there', params: ofDestination, body, response: { 202: NormaliserSummary } },
    },
    (request, reply) => {
      const { manifest } = destinationAt(destinations, request.params.destination)
      return idempotent(db, request, reply, async (tx) => ({
        status: 202,
        body: await askReports(tx, manifest.id, NormaliserReportRequest.parse(request.body ?? {})),
      }))
    },
  )
  app.get(
    '/v1/destinations/:destination/normaliser-report',
    {
      config: { scope: 'audiences:read' },
      schema: {
        tags,
        summary: 'The newest reports of all audiences there, added up',
        params: ofDestination,
        querystring: version,
        response: { 200: NormaliserSummary },
      },
    },
    ({ auth, params: { destination }, query }) => {
      const { manifest } = destinationAt(destinations, destination)
      return db.tenant(auth.tenantId, (tx) => summary(tx, manifest.id, query.version))
    },
  )
}
