/**
 * The API's one document: what each service says of its own routes, fetched when somebody asks and kept for a minute. A service
 * that is away is described by what it said last.
 */
import type { ServiceTokens } from '@audience-sync/service/tokens'
import type { Logger } from 'pino'
import { type Dispatcher, request } from 'undici'
import { INSTALLATION } from './audit-log.ts'
import { mergeOpenApi, type OpenApi } from './openapi-merge.ts'
import type { ServiceName } from './routes.ts'
import { TtlCache } from './ttl-cache.ts'

const KEPT_MS = 60_000
const FETCH_TIMEOUT_MS = 3_000
const INFO = {
  title: 'audience-sync',
  version: 'v1',
  description:
    'Keeps ad platforms and a CRM in step with customer behaviors. Send `Authorization: Bearer <API key or JWT>`; an operation’s security lists the scope it needs. ' +
    'Every POST takes an optional `Idempotency-Key`. Refusals are `application/problem+json` with a `code`. ' +
    'Every answer has `x-request-id`, `RateLimit` and `RateLimit-Policy`; 429 and 503 have `Retry-After` in seconds.',
}

export interface OpenApiOptions {
  readonly urls: Readonly<Record<ServiceName, string>>
  readonly tokens: ServiceTokens
  readonly log: Logger
  /** The gateway's own routes. */
  readonly own: () => OpenApi
  readonly now?: () => number
}

export interface OpenApiDocument {
  /** As fresh as a minute. */
  get(): Promise<OpenApi>
  /** What `get` answered last. */
  last(): OpenApi
}

export function openApiDocument({ urls, tokens, log, own, now }: OpenApiOptions): OpenApiDocument {
  const lastOf = new Map<string, OpenApi>()
  let merged: OpenApi | undefined
  const documents = new TtlCache<OpenApi>((service) => fetchDocument(service, urls[service as ServiceName], tokens), { ttlMs: KEPT_MS, ...(now && { now }) })

  async function refresh(): Promise<OpenApi> {
    for (const service of Object.keys(urls)) {
      try {
        const document = await documents.get(service)
        if (document !== lastOf.get(service)) merged = undefined
        lastOf.set(service, document)
      } catch (error) {
        log.warn({ err: error, what: service }, 'the description of a service could not be had')
      }
    }
    merged ??= mergeOpenApi({ gateway: own(), ...Object.fromEntries(lastOf) }, { info: INFO, owns: (_service, path) => path.startsWith('/v1/') })
    return merged
  }
  return { get: refresh, last: () => merged ?? own() }
}

async function fetchDocument(service: string, url: string, tokens: ServiceTokens): Promise<OpenApi> {
  const token = await tokens.sign(service, { tenantId: INSTALLATION, subject: tokens.name, scopes: ['internal'] })
  const { statusCode, body }: Dispatcher.ResponseData = await request(`${url}/internal/openapi.json`, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  })
  const document = (await body.json()) as OpenApi
  if (statusCode !== 200 || !document.openapi?.startsWith('3.1')) throw new Error(`${service} answered ${statusCode} or no OpenAPI 3.1`)
  return document
}
