/** The gateway as a running thing: its database, its memory of limits and logins, its server. */
import { openDatabase } from '@audience-sync/db/database'
import { serviceClient } from '@audience-sync/service/client'
import { startIdempotencySweep } from '@audience-sync/service/idempotency'
import { startLoop } from '@audience-sync/service/loop'
import type { Running } from '@audience-sync/service/run'
import type { ServiceTokens } from '@audience-sync/service/tokens'
import type { Logger } from 'pino'
import { type GatewayAppOptions, gatewayApp } from './app.ts'
import { auditLog } from './audit-log.ts'
import { authenticator } from './authenticator.ts'
import type { GatewayConfig } from './config.ts'
import { jwtVerifier } from './jwt.ts'
import { type Limits, limiter } from './limits.ts'
import { auditTarget } from './path.ts'
import { proofChain } from './proof-chain.ts'
import { TokenBuckets } from './rate-limit.ts'
import { ensureDemoTenant } from './tenants.ts'

export interface GatewayParts {
  readonly log: Logger
  readonly tokens: ServiceTokens
  /** Of forwarded requests; for tests that cannot wait so long. */
  readonly timeouts?: GatewayAppOptions['timeouts'] | undefined
}

/** Makes the demo tenant if it is missing, and listens. `stop` answers what has begun, writes the audit log and lets go of the database. */
export async function start(config: GatewayConfig, { log, tokens, timeouts }: GatewayParts): Promise<Running & { url: string }> {
  const db = openDatabase({ url: config.DATABASE_URL, name: 'gateway' })
  const audit = auditLog(db, log)
  const buckets = new TokenBuckets()
  const defaults: Limits = {
    read: config.LIMIT_READ,
    write: config.LIMIT_WRITE,
    bulk: config.LIMIT_BULK,
    importBytes: config.LIMIT_IMPORT_BYTES,
    streams: config.LIMIT_STREAMS,
  }
  const failures = config.LIMIT_LOGIN_FAILURES
  const auth = authenticator({
    db,
    log,
    buckets,
    mode: config.API_KEY_MODE,
    jwt: jwtVerifier(config.JWT_ISSUERS),
    adminKey: config.ADMIN_API_KEY,
    loginRate: { policy: 'login', perSecond: failures / 60, burst: failures },
    onSuccess: ({ tenantId, subject }, from) =>
      audit.record(tenantId, {
        actor: subject,
        action: 'auth.succeeded',
        target: `${from.method} ${auditTarget(from.url)}`,
        result: 'ok',
        status: 200,
        requestId: from.id,
      }),
    onFailure: ({ tenantId, actor, why, from }) => {
      log.warn({ requestId: from.id, tenantId, why }, 'login failed')
      audit.record(tenantId, {
        actor,
        action: 'auth.failed',
        target: `${from.method} ${auditTarget(from.url)}`,
        result: 'refused',
        status: 401,
        requestId: from.id,
      })
    },
  })
  const behaviorExport = serviceClient({ name: 'behavior-export', url: config.BEHAVIOR_EXPORT_URL, tokens, log })
  const app = await gatewayApp({
    log,
    db,
    tokens,
    behaviorExport,
    authenticator: auth,
    limits: limiter(buckets, defaults),
    audit,
    keyMode: config.API_KEY_MODE,
    urls: {
      connections: config.CONNECTIONS_URL,
      'behavior-export': config.BEHAVIOR_EXPORT_URL,
      audiences: config.AUDIENCES_URL,
      webhooks: config.WEBHOOKS_URL,
    },
    schedulerUrl: config.SCHEDULER_URL,
    corsOrigins: config.CORS_ORIGINS ?? [],
    trustedProxies: config.TRUSTED_PROXIES,
    timeouts,
  })
  const sweep = startIdempotencySweep(db, log)
  const chain = startLoop({ name: 'proofs', log, everyMs: config.PROOF_CHAIN_MS, work: proofChain({ db, tokens, behaviorExport, log }) })

  async function stop(): Promise<void> {
    await app.close()
    await Promise.all([audit.stop(), sweep.stop(), chain.stop()])
    await behaviorExport.close()
    await db.close()
  }

  try {
    await ensureDemoTenant(db, raised(defaults, config.DEMO_LIMIT_FACTOR))
    const url = await app.listen({ host: config.HOST, port: config.PORT })
    log.info({ url }, 'listening')
    return { name: 'gateway', url, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const raised = (limits: Limits, factor: number) => Object.fromEntries(Object.entries(limits).map(([name, value]) => [name, value * factor]))
