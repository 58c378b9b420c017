/** `GET /v1/status`: how the platforms answer the tenant, and which of our services are ready, as the gateway sees it. */
import { type PlatformHealth, Status } from '@audience-sync/contracts/rest/gateway'
import type { App } from '@audience-sync/service/app'
import { request } from 'undici'
import { z } from 'zod'
import { TtlCache } from '../ttl-cache.ts'

/** What we read of a probe's answer; a service that stops answers without checks. */
const Readyz = z.object({ checks: z.array(z.object({ warning: z.string().optional() })).default([]) })

const FRESH_MS = 5_000 // many watchers, one look
const TIMEOUT_MS = 3_000 // a service's own checks end after two seconds

export function status(app: App, urls: Readonly<Record<string, string>>, platformsOf: (tenantId: string) => Promise<PlatformHealth[]>): void {
  const platforms = new TtlCache(platformsOf, { ttlMs: FRESH_MS })
  const looks = new TtlCache(look, { ttlMs: FRESH_MS })

  async function look(name: string) {
    const checkedAt = new Date().toISOString()
    try {
      const { statusCode, body } = await request(`${urls[name]}/readyz`, { signal: AbortSignal.timeout(TIMEOUT_MS) })
      const { checks } = Readyz.parse(await body.json())
      const warnings = checks.flatMap(({ warning }) => warning ?? [])
      return { name, ok: statusCode === 200, detail: statusCode === 200 ? 'ready' : 'not ready', warnings, checkedAt }
    } catch {
      return { name, ok: false, detail: 'does not answer', warnings: [], checkedAt }
    }
  }

  app.get(
    '/v1/status',
    { config: { anyScope: true }, schema: { summary: 'How the platforms answer, and which parts of the system are ready', response: { 200: Status } } },
    async ({ auth }) => {
      const [services, seen] = await Promise.all([
        Promise.all(Object.keys(urls).map((name) => looks.get(name))),
        platforms.get(auth.tenantId).catch(() => null), // a page about trouble answers in trouble; the service that could not say is on it
      ])
      const ok = services.every((one) => one.ok) && (seen ?? []).every(({ state }) => state === 'ok')
      return { status: ok ? ('ok' as const) : ('degraded' as const), platforms: seen, services }
    },
  )
}
