/** The two bulk doors. Bodies are streams here, whatever they hold: NDJSON up to 1 GiB, or a JSON document up to 10 MiB. */
import type { Readable } from 'node:stream'
import { BulkAnswer, BulkQuery, CustomerRecord, MembershipChange } from '@audience-sync/contracts/rest/behaviors'
import type { Database } from '@audience-sync/db/database'
import type { App } from '@audience-sync/service/app'
import type { DekStore } from '@audience-sync/vault/dek-store'
import type { FastifyRequest } from 'fastify'
import { validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { requireBehavior } from '../behaviors.ts'
import { checkCustomer, checkMembership } from '../bulk/check.ts'
import { jsonLines, type Line, NDJSON_LIMIT, ndjsonLines } from '../bulk/lines.ts'
import { checkAll, type Load, load } from '../bulk/load.ts'
import { createSpool } from '../bulk/spool.ts'
import { storeMemberships, storePeople } from '../bulk/stores.ts'

const HANDLER_TIMEOUT_MS = 3_600_000 // 1 GiB at 300 kB/s, like the server's own limit for such a body
const JSON_TYPE = 'application/json'
const NDJSON_TYPE = 'application/x-ndjson'
const DESCRIPTION =
  'One line a change as application/x-ndjson (up to 1 GiB, streamed), or this document (up to 10 MiB). Lines are stored batch by batch; sending them again is harmless, so no Idempotency-Key is needed.'

interface Parts {
  readonly db: Database
  readonly vault: DekStore
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export function bulkRoutes(app: App, { db, vault, now }: Parts): void {
  app.register(async (plain) => {
    const bulk = plain.withTypeProvider<ZodTypeProvider>()
    bulk.removeAllContentTypeParsers()
    bulk.addContentTypeParser([JSON_TYPE, NDJSON_TYPE], (_request, payload, done) => done(null, payload))
    // The body is described by its schema and checked line by line.
    bulk.setValidatorCompiler((route) => (route.httpPart === 'body' ? () => true : validatorCompiler(route as Parameters<typeof validatorCompiler>[0])))
    const options = { bodyLimit: NDJSON_LIMIT, handlerTimeout: HANDLER_TIMEOUT_MS }
    const described = { querystring: BulkQuery, response: { 200: BulkAnswer }, consumes: [JSON_TYPE, NDJSON_TYPE], description: DESCRIPTION }

    bulk.post(
      '/v1/behaviors/:id/members',
      {
        ...options,
        config: { scope: 'behaviors:write' },
        schema: {
          ...described,
          summary: 'Who enters and who leaves',
          tags: ['behaviors'],
          params: z.object({ id: z.string() }),
          body: z.object({ changes: z.array(MembershipChange) }),
        },
      },
      async (request) => {
        const { tenantId } = request.auth
        const behavior = await db.tenant(tenantId, (tx) => requireBehavior(tx, request.params.id))
        return run(request, request.query.atomic === 'true', 'changes', {
          check: (json) => checkMembership(json, now()),
          store: (items) => storeMemberships({ db, vault, tenantId }, behavior.no, items),
        })
      },
    )

    bulk.post(
      '/v1/customers',
      {
        ...options,
        config: { scope: 'customers:write' },
        schema: { ...described, summary: 'Who people are and what they allow', tags: ['customers'], body: z.object({ customers: z.array(CustomerRecord) }) },
      },
      (request) =>
        run(request, request.query.atomic === 'true', 'customers', {
          check: (json) => checkCustomer(json, now()),
          store: (items) => storePeople({ db, vault, tenantId: request.auth.tenantId }, items),
        }),
    )
  })
}

async function run<T>(request: FastifyRequest, atomic: boolean, field: string, work: Load<T>): Promise<BulkAnswer> {
  const body = (request.body ?? []) as Readable
  const isNdjson = request.headers['content-type']?.startsWith(NDJSON_TYPE)
  const linesOf = (bytes: AsyncIterable<Buffer>): AsyncIterable<Line> => (isNdjson ? ndjsonLines(bytes) : jsonLines(bytes, field))
  if (!atomic) return load(linesOf(body), work)
  const spool = await createSpool()
  try {
    await checkAll(linesOf(spool.fill(body)), work.check)
    return await load(linesOf(spool.read()), work)
  } finally {
    await spool.close()
  }
}
