/**
 * A small world for the engine's own tests: real Postgres under the connector's role, a destination with its far side (the real Meta
 * adapter against the strict twin, unless a test brings another), and a behavior whose members and consent the test moves by hand.
 * Work is driven step by step, nothing runs by itself.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { newUuid } from '@audience-sync/contracts/ids'
import type { Database } from '@audience-sync/db/database'
import type { Destination } from '@audience-sync/destination-kit/contract'
import { AppError } from '@audience-sync/errors/app-error'
import type { ServiceRole } from '@audience-sync/infra/postgres/roles'
import { createLogger } from '@audience-sync/service/log'
import { type TestDatabase, testDatabase } from '@audience-sync/testing/database'
import type { MetaTwin } from '@audience-sync/twin-meta/twin'
import { createDekStore } from '@audience-sync/vault/dek-store'
import { parseKeks } from '@audience-sync/vault/keks'
import { destinationNo } from '../src/connector.ts'
import { runCounts } from '../src/counts.ts'
import type { EngineOptions } from '../src/options.ts'
import { requestRun, type Trigger } from '../src/requests.ts'
import { createSealer } from '../src/sealer.ts'
import { settleOne } from '../src/settle.ts'
import { databaseTime, type LimiterClock } from '../src/store/limiter.ts'
import { readSuppressions } from '../src/suppressions.ts'
import type { Engine } from '../src/worker/engine.ts'
import { claim } from '../src/worker/lease.ts'
import { workAudience } from '../src/worker/work.ts'
import { Behavior } from './behavior.ts'
import { metaSide } from './destinations/meta.ts'
import type { Side } from './destinations/side.ts'

/** A world whose far side is anybody's. */
export interface SidedWorld {
  readonly database: TestDatabase
  readonly engine: Engine
  readonly behavior: Behavior
  readonly audienceNo: number
  readonly tenantId: string
  /** Levers around each batch that is sent, and before each transaction of the worker. */
  readonly hooks: { beforePush?: () => Promise<unknown>; afterPush?: () => Promise<unknown>; beforeTransaction?: () => Promise<unknown> }
  /** What was reported of the token. */
  readonly reports: string[]
  /** Asks for a run as `audiences` does. */
  request(mode?: 'incremental' | 'full', audienceNo?: number, trigger?: Trigger): Promise<number>
  /** Another audience of the same account, and of the same behavior unless given; answers its number. */
  addAudience(schedule?: Readonly<Record<string, unknown>>, of?: Behavior): Promise<number>
  /** Works until nothing is due. */
  work(): Promise<void>
  /** One claim, and what is due under it. */
  workOnce(): Promise<boolean>
  /** Lets the platform apply what it accepted, and looks. */
  settle(): Promise<void>
  /** A run, up to where the platform has taken its calls: it applies them later. */
  submit(): Promise<number>
  sync(mode?: 'incremental' | 'full'): Promise<number>
  suppressions(): Promise<void>
  run(no: number): Promise<Record<string, unknown> & { counts: Record<string, number>; status: string }>
  audience(): Promise<Record<string, unknown>>
  close(): Promise<void>
}

export interface World extends SidedWorld {
  readonly twin: MetaTwin
  /** Bodies of the uploads as the twin received them, in order. */
  uploads(): { method: string; status: number; body: string }[]
  /** E-mail digests (or other keys) that the twin holds. */
  far(key?: string): string[]
}

/** What is waited for is short. What a slow machine could overstep is long: no test waits for the end of a lease, or of a call. */
const FAST: EngineOptions = {
  workers: 1,
  leaseMs: 15_000,
  callMs: 9_000,
  pollMs: 20,
  settleMs: 1,
  suppressionMs: 50,
  horizonMs: 200,
  patienceMs: 500,
  backoffMs: 5,
}

export interface WorldOptions {
  readonly minimumSize?: number
  readonly brake?: { sharePercent: number; minimum: number }
  readonly identifiers?: readonly string[]
  readonly options?: Partial<EngineOptions>
  readonly rowsPerCall?: number
  readonly settings?: Readonly<Record<string, unknown>>
  readonly twin?: Parameters<typeof metaSide>[0]
  readonly clock?: LimiterClock
  /** The portfolio of the account, where connections knows one. */
  readonly businessId?: string
  /** What the connection says of the account's tier; the large one unless given. */
  readonly tier?: string | null
}

/** Meta's world. */
export async function makeWorld(options: WorldOptions = {}): Promise<World> {
  const side = await metaSide(options.twin, options.tier)
  const { twin } = side
  return Object.assign(await worldAround(side, options), {
    twin,
    uploads: () =>
      twin
        .journal()
        .filter(({ path }) => path.split('?')[0]?.endsWith('/users'))
        .map(({ method, status, body }) => ({ method, status: status ?? 0, body: typeof body === 'string' ? body : JSON.stringify(body) })),
    far: (key = 'EMAIL') =>
      twin
        .state()
        .audiences.flatMap(({ id }: { id: string }) => twin.audience(id)?.members ?? [])
        .map((member) => (member as Record<string, string>)[key] ?? '')
        .filter(Boolean)
        .sort(),
  })
}

/** A role is all that a new destination needs in the database: its policies follow from the role's name. */
async function roleOf(database: TestDatabase, destination: string): Promise<ServiceRole> {
  const role = `connector_${destination}`
  const known = await database.admin('SELECT FROM pg_roles WHERE rolname = $1', [role])
  if (known.length === 0) {
    await database
      .admin(`CREATE ROLE ${role} LOGIN NOSUPERUSER NOBYPASSRLS; ALTER ROLE ${role} SET search_path = sync; GRANT connector TO ${role}`)
      .catch((error: { code?: string }) => {
        if (error.code !== '42710' && error.code !== '23505') throw error // another test file made it meanwhile
      })
  }
  return role as ServiceRole
}

export async function worldAround(side: Side, options: WorldOptions = {}): Promise<SidedWorld> {
  const database = await testDatabase()
  const { id } = side.destination.manifest
  const tenantId = newUuid()
  const behavior = new Behavior(tenantId)
  const admin = database.as('audiences')
  const hooks: World['hooks'] = {}
  const own = database.as(await roleOf(database, id))
  const db: Database = {
    ...own,
    async tenant(id, fn) {
      await hooks.beforeTransaction?.()
      return own.tenant(id, fn)
    },
  }
  const destination = hooked(side.destination, hooks, options.rowsPerCall)
  const no = await destinationNo(db, destination.manifest.id)
  const reports: string[] = []
  let remembered: ReturnType<Side['grant']> | undefined
  let ended: number | undefined
  const engine: Engine = {
    db,
    destination,
    destinationNo: no,
    owner: `test-${randomBytes(3).toString('hex')}`,
    options: { ...FAST, ...options.options },
    log: createLogger({ name: 'test', level: process.env.LOG_LEVEL ?? 'silent' }),
    sealer: createSealer(createDekStore({ db, keks: parseKeks(`kek_test:${Buffer.alloc(32, 7).toString('base64url')}`) })),
    grants: {
      // Remembered as the connector does, until somebody says that it is no good.
      get: async () => {
        if (ended === side.grant().version) throw new AppError('connection_expired', 'The platform no longer takes the token.')
        remembered ??= side.grant()
        return {
          connectionId: 'con_1',
          accountId: 'acc_1',
          accountExternalId: side.accountExternalId,
          expiresAt: null,
          businessId: options.businessId ?? null,
          ...remembered,
        }
      },
      // What cannot be renewed is at an end.
      report: async (_tenant, grant, problem) => {
        reports.push(problem)
        if (problem === 'token_dead') ended = grant.version
        remembered = undefined
      },
      forget() {
        remembered = undefined
      },
    },
    suppressions: {
      after: async (position) => {
        const from = Number(position.split(':')[0])
        const rows = behavior.suppressed.filter(({ at }) => Number(at.split(':')[0]) > from)
        return { horizon: behavior.horizon, rows, next: rows.at(-1)?.at ?? position, done: true, count: rows.length }
      },
    },
    feed: (_tenant, behaviorId) => (behaviors.get(behaviorId) ?? behavior).feed(),
    random: () => 0.5,
    clock: options.clock ?? databaseTime,
  }
  const tenantNo = await admin.tenant(tenantId, async (tx) => {
    const tenant = await tx.query<{ no: number }>('INSERT INTO tenant (id) VALUES ($1) RETURNING no', [tenantId])
    return tenant.rows[0]?.no ?? 0
  })
  const accountId = randomUUID()
  const behaviors = new Map<string, Behavior>()
  const addAudience = (schedule: Readonly<Record<string, unknown>> = { frequency: 'manual' }, of: Behavior = behavior) =>
    admin.tenant(tenantId, async (tx) => {
      const behaviorId = randomUUID()
      behaviors.set(behaviorId, of)
      const { rows } = await tx.query<{ no: number }>(
        `INSERT INTO audience (id, tenant_id, tenant_no, destination, destination_no, behavior_id, connection_id, account_id, account_external_id, name, purpose, schedule, identifiers,
         retry_policy, brake, minimum_size, settings, status)
       VALUES ($1, $2, $3, $12, $4, $5, $6, $7, $8, 'Comfort Seekers', 'targeting', $14, $9, '{}', $10, $11, $13, 'pending') RETURNING no`,
        [
          randomUUID(),
          tenantId,
          tenantNo,
          no,
          behaviorId,
          randomUUID(),
          accountId,
          side.accountExternalId,
          options.identifiers ?? ['email', 'phone'],
          JSON.stringify(options.brake ?? { sharePercent: 30, minimum: 100 }),
          options.minimumSize ?? 0,
          id,
          JSON.stringify(options.settings ?? {}),
          JSON.stringify(schedule),
        ],
      )
      return rows[0]?.no ?? 0
    })
  const audienceNo = await addAudience()
  const stopping = new AbortController()
  const world: SidedWorld = {
    database,
    engine,
    behavior,
    audienceNo,
    tenantId,
    hooks,
    reports,
    addAudience,
    request: (mode = 'incremental', of = audienceNo, trigger = 'api') =>
      admin.tenant(tenantId, async (tx) => {
        const { rows } = await tx.query('SELECT no, id, tenant_id AS "tenantId", destination, destination_no AS "destinationNo" FROM audience WHERE no = $1', [
          of,
        ])
        return (await requestRun(tx, { audience: rows[0], trigger, mode })).no
      }),
    async work() {
      while (await world.workOnce());
    },
    async workOnce() {
      const lease = await claim(engine, stopping.signal)
      if (lease) await workAudience(engine, lease)
      return lease !== undefined
    },
    async settle() {
      side.pass()
      await database.admin('UPDATE sync.audience SET settle_at = now() WHERE settle_at IS NOT NULL')
      while (await settleOne(engine, stopping.signal))
        await database.admin(`UPDATE sync.audience SET settle_at = now() + interval '1 hour' WHERE settle_at IS NOT NULL`)
    },
    async submit() {
      const runNo = await world.request()
      await world.work()
      return runNo
    },
    async sync(mode) {
      const runNo = await world.request(mode)
      await world.work()
      await world.settle()
      return runNo
    },
    async suppressions() {
      while (await readSuppressions(engine));
    },
    async run(runNo) {
      const [row] = await database.admin('SELECT * FROM sync.run WHERE no = $1', [runNo])
      const counts = await db.tenant(tenantId, async (tx) => (await runCounts(tx, [runNo])).get(runNo))
      return { ...row, counts } as never
    },
    async audience() {
      return (await database.admin('SELECT * FROM sync.audience WHERE no = $1', [audienceNo]))[0] ?? {}
    },
    async close() {
      stopping.abort()
      await side.close()
      await database.drop()
    },
  }
  return world
}

/** The real adapter, with levers around its calls and, where a test wants many batches, a smaller limit. */
function hooked(destination: Destination, hooks: World['hooks'], rowsPerCall = destination.manifest.limits.rowsPerCall): Destination {
  const { manifest } = destination
  return {
    ...destination,
    manifest: { ...manifest, limits: { ...manifest.limits, rowsPerCall } },
    async push(ctx, request) {
      await hooks.beforePush?.()
      const accepted = await destination.push(ctx, request)
      await hooks.afterPush?.()
      return accepted
    },
  }
}
