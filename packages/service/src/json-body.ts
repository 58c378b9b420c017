/**
 * JSON bodies, refused where they would hurt later: NUL (Postgres' jsonb cannot hold it), lone surrogates (no UTF-8),
 * deep nesting (recursive code runs out of stack), `__proto__` and `constructor` keys.
 */
import { AppError } from '@audience-sync/errors/app-error'
import type { FastifyInstance } from 'fastify'

const DEEPEST = 10 // RELIABILITY.md §3.4; no body of the API is deeper than six

/** Throws `validation_failed` for text or nesting that must not come further. Iterative: the depth is the attacker's. */
export function checkJson(value: unknown, deepest = DEEPEST): void {
  const left: { value: unknown; depth: number }[] = [{ value, depth: 1 }]
  for (let next = left.pop(); next; next = left.pop()) {
    if (typeof next.value === 'string') checkText(next.value)
    else if (next.value !== null && typeof next.value === 'object') {
      if (next.depth > deepest) throw refused(`The body is nested deeper than ${deepest} levels.`)
      for (const [key, child] of Object.entries(next.value)) {
        checkText(key)
        if (child !== null && (typeof child === 'object' || typeof child === 'string')) left.push({ value: child, depth: next.depth + 1 })
      }
    }
  }
}

const checkText = (text: string) => {
  if (text.includes('\u0000')) throw refused('The body contains the character U+0000.')
  if (!text.isWellFormed()) throw refused('The body contains half a surrogate pair.')
}

const refused = (detail: string) => new AppError('validation_failed', detail, { extra: { errors: [{ in: 'body', path: '', message: detail }] } })

/** Refuses addresses with a NUL in them: in a query or an id it would end as a fault in the database. */
export function refuseNul(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ url }) => {
    if (url.includes('%00')) throw new AppError('validation_failed', 'The address contains the character U+0000.')
  })
}

/** `application/json` and nothing else; routes that take other types add a parser of their own. */
export function acceptJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body: string, done) => {
    // An empty body is what a POST without arguments sends; a route that needs one says so in its schema.
    if (body === '') return done(null, undefined)
    parse(request, body, (error, value) => {
      if (error) return done(error)
      try {
        checkJson(value, request.routeOptions.config.maxDepth)
        done(null, value)
      } catch (refusal) {
        done(refusal as Error)
      }
    })
  })
}
