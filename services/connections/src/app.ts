/** The service's HTTP side: all routes over one context. */
import type { ConnectAdapter } from '@audience-sync/destination-kit/connect-contract'
import { type App, type AppOptions, buildApp } from '@audience-sync/service/app'
import type { FastifyInstance } from 'fastify'
import { type AuthorizeUrl, registerOAuth } from './authorize-url.ts'
import type { Context } from './context.ts'
import { accountRoutes } from './routes/accounts.ts'
import { callbackRoute } from './routes/callback.ts'
import { connectionRoutes } from './routes/connections.ts'
import { internalRoutes } from './routes/internal.ts'
import { noticeRoutes } from './routes/notices.ts'

export interface ConnectionsAppOptions extends Omit<AppOptions, 'name'> {
  readonly adapters: ReadonlyMap<string, ConnectAdapter>
  readonly redirectUri: (destination: string) => string
  /** Gets the authorization URLs, which the OAuth plugin makes. */
  readonly context: (authorizeUrl: AuthorizeUrl) => Context
}

export async function buildConnectionsApp({ adapters, redirectUri, context, ...options }: ConnectionsAppOptions): Promise<App> {
  const app = await buildApp({ name: 'connections', ...options })
  const made = context(await registerOAuth(app as unknown as FastifyInstance, adapters, redirectUri))
  connectionRoutes(app, made)
  callbackRoute(app, made)
  noticeRoutes(app, made)
  accountRoutes(app, made)
  internalRoutes(app, made)
  return app
}
