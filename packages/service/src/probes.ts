/** `/livez`: this process turns. `/readyz`: it can work; while it stops, nobody listens. Neither tells a stranger more than that. */
import type { FastifyInstance } from 'fastify'

export interface Readiness {
  readonly ok: boolean
  /** Shown: no secrets, no addresses. */
  readonly detail: string
  /** It works, and will not for ever: somebody should look. Shown, too. */
  readonly warning?: string
}

/** For example the database or a subscription. */
export type ReadyCheck = () => Promise<Readiness> | Readiness

const CHECK_TIMEOUT_MS = 2_000 // probes give up after a few seconds; a hanging check is a failed one

export function addProbes(app: FastifyInstance, checks: readonly ReadyCheck[]): void {
  app.get('/livez', { config: { public: true }, logLevel: 'warn' }, async () => ({ status: 'ok' }))
  app.get('/readyz', { config: { public: true }, logLevel: 'warn' }, async (_request, reply) => {
    const results = await Promise.all(checks.map(ask))
    const failed = results.filter(({ ok }) => !ok).map(({ detail }) => detail)
    if (failed.length > 0) reply.code(503)
    return { status: failed.length > 0 ? 'not ready' : 'ready', checks: results, ...(failed.length > 0 && { failed }) }
  })
}

async function ask(check: ReadyCheck): Promise<Readiness> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Readiness>((resolve) => {
    timer = setTimeout(() => resolve({ ok: false, detail: 'a check did not answer' }), CHECK_TIMEOUT_MS)
  })
  try {
    return await Promise.race([Promise.resolve().then(check), late])
  } catch {
    return { ok: false, detail: 'a check failed' }
  } finally {
    clearTimeout(timer)
  }
}
