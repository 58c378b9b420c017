/** The service's parts on a real database, receivers on loopback, and a clock that is pushed by moving what is stored into the past. */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { AudienceStatusChangedSchema } from '@audience-sync/contracts/events/gen/audience_sync/events/v1/audience_pb'
import { newUuid, publicId } from '@audience-sync/contracts/ids'
import type { Database } from '@audience-sync/db/database'
import type { ReceivedEvent } from '@audience-sync/events/consumer'
import { createLogger } from '@audience-sync/service/log'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import { createDekStore, type DekStore } from '@audience-sync/vault/dek-store'
import { parseKeks } from '@audience-sync/vault/keks'
import { create, type Message } from '@bufbuild/protobuf'
import { insertEndpoint } from '../src/endpoints.ts'
import { consumers } from '../src/intake.ts'
import { createPoster, type Poster } from '../src/post.ts'
import { createSecrets, type Secrets } from '../src/secrets.ts'
import { newSecret } from '../src/sign.ts'
import { tell } from '../src/tell.ts'
import { createWorker, type Worker } from '../src/worker.ts'

export const log = createLogger({ name: 'webhooks', level: 'silent' })
export const KEK = `kek_test:${Buffer.alloc(32, 7).toString('base64url')}`

export interface Received {
  readonly id: string
  readonly at: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A receiver on this machine: remembers what it got, and answers as it is told. */
export class Receiver {
  readonly got: Received[] = []
  /** A status, with headers; `null`: never answers. */
  answer: () => { readonly status: number; readonly headers?: Record<string, string> } | null = () => ({ status: 204 })
  #server: Server
  url = ''

  constructor() {
    this.#server = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      request.on('end', () => {
        this.got.push({ id: String(request.headers['webhook-id']), at: Number(request.headers['webhook-timestamp']), headers: request.headers, body })
        const said = this.answer()
        if (said) response.writeHead(said.status, said.headers).end()
      })
    })
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.url = `http://127.0.0.1:${(this.#server.address() as { port: number }).port}/hooks`
    return this
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

export interface Rig {
  readonly database: TestDatabase
  readonly db: Database
  readonly deks: DekStore
  readonly secrets: Secrets
  readonly poster: Poster
  readonly tenantId: string
  receiver(): Promise<Receiver>
  /** Bare id and secret of a new endpoint. */
  endpoint(url: string, eventTypes?: string[]): Promise<{ id: string; secret: string }>
  /** Something that happened; answers its event's id. */
  happens(id?: string): Promise<string>
  /** As a transport hands it in. */
  handIn<M extends Message>(topic: string, message: M, id?: string, tenantId?: string): Promise<void>
  worker(poster?: Poster): Worker
  /** Lets workers work until nothing is due. */
  drain(...workers: readonly Worker[]): Promise<void>
  /** As if so much time had passed. */
  pass(interval: string): Promise<void>
  endpointRow(id: string): Promise<Record<string, unknown>>
  deliveries(endpointId: string): Promise<{ id: string; event_id: string; state: string; tries: number; attempts: number; wait: number | null }[]>
  close(): Promise<void>
}

const TIMES: Readonly<Record<string, readonly string[]>> = {
  endpoint: ['due_at', 'lease_until', 'failing_since', 'throttled_until', 'old_secret_until', 'status_since', 'created_at', 'updated_at'],
  delivery: ['next_at', 'created_at', 'delivered_at'],
  event: ['created_at'],
  attempt: ['at'],
}

export async function rig(timeoutMs?: number): Promise<Rig> {
  const database = await testDatabase()
  const db = database.as('webhooks', 12)
  const deks = createDekStore({ db, keks: parseKeks(KEK) })
  const secrets = createSecrets(deks)
  const poster = createPoster({ rules: { loopback: true }, ...(timeoutMs && { timeoutMs }) })
  const tenantId = newUuid()
  const receivers: Receiver[] = []
  const workers: Worker[] = []
  const isDue = async () => {
    const rows = await database.admin(`SELECT FROM webhooks.endpoint WHERE status = 'enabled' AND (due_at <= now() OR lease_until > now())`)
    return rows.length > 0
  }
  return {
    database,
    db,
    deks,
    secrets,
    poster,
    tenantId,
    async receiver() {
      const made = await new Receiver().start()
      receivers.push(made)
      return made
    },
    async endpoint(url, eventTypes) {
      const [id, secret] = [newUuid(), newSecret()]
      const seal = await secrets.sealer(tenantId)
      await db.tenant(tenantId, (tx) =>
        insertEndpoint(tx, { tenantId, id, url, description: '', eventTypes: (eventTypes ?? null) as null, sealedSecret: seal(id, secret) }, 1_000),
      )
      return { id, secret }
    },
    async happens(id = newUuid()) {
      const data = { endpointId: publicId('webhookEndpoint', id) }
      await db.tenant(tenantId, (tx) => tell(tx, { id, tenantId, type: 'webhook_endpoint.test', at: new Date(), data }))
      return id
    },
    async handIn(topic, message, id = newUuid(), of = tenantId) {
      const consumer = consumers.find((one) => one.topic.name === topic)
      const event: ReceivedEvent<typeof message> = {
        id,
        tenantId: of,
        key: 'k',
        headers: {},
        message,
        occurredAt: new Date(),
        version: undefined,
        traceparent: undefined,
      }
      await db.tenant(of, (tx) => consumer?.handle(tx, [event], { log, signal: new AbortController().signal }) as Promise<void>)
    },
    worker(own = poster) {
      const made = createWorker({ db, secrets, poster: own, log, random: () => 0.5 })
      workers.push(made)
      return made
    },
    async drain(...those) {
      while (await isDue()) {
        await Promise.all(those.map((worker) => worker.round()))
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },
    async pass(interval) {
      for (const [table, columns] of Object.entries(TIMES))
        await database.admin(`UPDATE webhooks.${table} SET ${columns.map((column) => `${column} = ${column} - interval '${interval}'`).join(', ')}`)
    },
    endpointRow: async (id) => (await database.admin('SELECT * FROM webhooks.endpoint WHERE id = $1', [id]))[0] as Record<string, unknown>,
    deliveries: (endpointId) =>
      database.admin(
        `SELECT id, event_id, state, tries, attempts, round(extract(epoch FROM next_at - now()))::int AS wait FROM webhooks.delivery WHERE endpoint_id = $1 ORDER BY id`,
        [endpointId],
      ),
    async close() {
      await Promise.all(workers.map((worker) => worker.stop()))
      await Promise.all(receivers.map((receiver) => receiver.stop()))
      await database.drop()
    },
  }
}

export const held = (audienceId: string) =>
  create(AudienceStatusChangedSchema, {
    audienceId,
    from: 'syncing',
    to: 'held',
    code: 'audience_held',
    runId: publicId('run', newUuid()),
    hold: { removals: 400, size: 1_000, before: 0, sharePercent: 30, minimum: 100 },
  })
