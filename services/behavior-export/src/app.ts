/** The HTTP side: the public routes that the gateway forwards, and the internal ones of the engine. */
import type { Database } from '@audience-sync/db/database'
import { type App, type AppOptions, buildApp } from '@audience-sync/service/app'
import type { DekStore } from '@audience-sync/vault/dek-store'
import { behaviorRoutes } from './routes/behaviors.ts'
import { bulkRoutes } from './routes/bulk.ts'
import { customerRoutes } from './routes/customers.ts'
import { explainRoutes } from './routes/explain.ts'
import { internalRoutes } from './routes/internal.ts'
import { privacyRoutes } from './routes/privacy.ts'

export interface AppParts extends Pick<AppOptions, 'log' | 'tokens' | 'ready'> {
  readonly db: Database
  readonly vault: DekStore
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export async function behaviorExportApp({ db, vault, now, ...options }: AppParts): Promise<App> {
  const app = await buildApp({ name: 'behavior-export', bulk: true, ...options })
  behaviorRoutes(app, { db, vault })
  bulkRoutes(app, { db, vault, now })
  customerRoutes(app, { db, vault, now })
  privacyRoutes(app, { db, vault, now })
  internalRoutes(app, { db, vault })
  explainRoutes(app, { db, vault })
  return app
}
