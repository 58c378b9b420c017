/**
 * A strict stand-in for Meta's Graph and Marketing API, for tests, the demo and the sandbox. It is made from the vendor facts alone, knows nothing of
 * our adapter, and is in doubt the more pessimistic of the two. The README beside it lists the cast, the control routes and what is not modelled.
 */
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify'
import { createAccounts, DEMO_ACCOUNTS } from './accounts.ts'
import { createClock } from './clock.ts'
import { authorize, registerControl, resetWorld, type TwinAudience, type TwinState, twinAudience, twinState } from './control.ts'
import { DialogError, decide, dialogPage, errorPage, readDialog } from './dialog.ts'
import { dispatch } from './dispatch.ts'
import { errorByCode, unknownPath } from './errors.ts'
import { createFaults, type Fault, faultSchema } from './faults.ts'
import { createJournal, type JournalEntry } from './journal.ts'
import { createLimiter } from './limits.ts'
import { type MetaTwinOptions, type Settings, withDefaults } from './options.ts'
import { createRandom } from './random.ts'
import { createSessions } from './sessions.ts'
import { createTokens } from './tokens.ts'
import { createVersions } from './versions.ts'
import type { World } from './world.ts'

export type MetaTwin = {
  /** Where it listens: base of `/v26.0/…` and of `/_twin/…`. */
  url: string
  journal(after?: number): JournalEntry[]
  state(): TwinState
  /** undefined: there is none, or none any more. */
  audience(externalId: string): TwinAudience | undefined
  fault(fault: Partial<Fault> & Pick<Fault, 'kind'>): void
  /** Presses Allow (or Deny) for a program. @returns where the browser would go */
  authorize(authorizeUrl: string, choice?: { decline?: readonly string[]; deny?: boolean }): string
  clock: { now(): number; advance(ms: number): void }
  reset(): void
  close(): Promise<void>
}

/** 10,000 rows of 15 hashed keys are 10 MB; as form text, percent-encoded, a good deal more. */
const BODY_LIMIT = 64 * 1024 * 1024
/** The wall that payloads in the query string meet (vendors/meta.md §4.3). */
const LONGEST_HEADER = 60 * 1024
/** Where ids begin: beyond 2^53, so that a number where a string belongs shows at once. */
const FIRST_AUDIENCE_ID = 23_840_000_000_000_001n

export const createMetaTwin = async (options: MetaTwinOptions): Promise<MetaTwin> => {
  const settings = withDefaults(options)
  const freshAccounts = () => createAccounts(settings.accounts ?? DEMO_ACCOUNTS, settings.tier)
  const world = createWorld(settings, freshAccounts())
  const app = Fastify({
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: true,
    http: { maxHeaderSize: LONGEST_HEADER },
    frameworkErrors: (error, _request, reply) => refuse(error, reply),
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.setErrorHandler((error, _request, reply) => refuse(error, reply))
  registerControl(app, world, freshAccounts)
  registerDialog(app, world)
  app.all('/*', (request, reply) => dispatch(world, request, reply))
  await app.listen({ port: settings.port, host: settings.host })
  world.url = settings.publicUrl ?? `http://${settings.host}:${(app.server.address() as AddressInfo).port}`

  return {
    url: world.url,
    journal: (after) => world.journal.list(after),
    state: () => twinState(world),
    audience: (externalId) => {
      world.clock.settle()
      const audience = world.audiences.get(externalId)
      return audience === undefined || audience.deletedAt !== undefined ? undefined : twinAudience(audience)
    },
    fault: (fault) => world.faults.add(faultSchema.parse(fault)),
    authorize: (authorizeUrl, choice) => authorize(world, { authorizeUrl, ...choice }),
    clock: world.clock,
    reset: () => resetWorld(world, freshAccounts()),
    close: async () => {
      world.clock.stop()
      await app.close()
    },
  }
}

/** What never reached the dispatcher: a path that cannot be decoded, a body over the limit. */
const refuse = (error: unknown, reply: FastifyReply) => {
  const { statusCode = 500, message } = error as Partial<FastifyError>
  const { body } = statusCode === 413 ? errorByCode(1) : unknownPath(message ?? '')
  return reply.code(statusCode).send({ error: body })
}

const createWorld = (settings: Settings, accounts: World['accounts']): World => {
  const random = createRandom(settings.seed)
  let nextId = FIRST_AUDIENCE_ID
  return {
    settings,
    clock: createClock(),
    random,
    tokens: createTokens(random),
    accounts,
    audiences: new Map(),
    people: new Map(),
    sessions: createSessions(),
    optOuts: [],
    limiter: createLimiter(settings.limits),
    faults: createFaults(),
    journal: createJournal(settings.journalBodyBytes, settings.journalFile),
    versions: createVersions(settings.versions, settings.expiredVersions),
    nextAudienceId: () => (nextId++).toString(),
    url: '',
  }
}

/** The two pages that a person sees; they are no API calls and do not stand in the journal. */
const registerDialog = (app: FastifyInstance, world: World): void => {
  const queryOf = (url: string) => new URL(url, 'http://twin').searchParams
  app.get('/:version/dialog/oauth', async (request, reply) => {
    const query = queryOf(request.url)
    const [status, page] = rendered(() => dialogPage(readDialog(world, query), query))
    return reply.code(status).type('text/html; charset=utf-8').send(page)
  })
  app.get('/:version/dialog/oauth/decide', async (request, reply) => {
    const query = queryOf(request.url)
    const granted = query.getAll('_granted')
    let target = ''
    const [status, page] = rendered(() => {
      const dialog = readDialog(world, query)
      const declined = dialog.configuration === undefined ? dialog.scopes.filter((scope) => !granted.includes(scope)) : []
      target = decide(world, dialog, { allow: query.get('_decision') === 'allow', declined })
      return ''
    })
    return status === 200 ? reply.redirect(target, 302) : reply.code(status).type('text/html; charset=utf-8').send(page)
  })
}

const rendered = (render: () => string): [number, string] => {
  try {
    return [200, render()]
  } catch (error) {
    if (!(error instanceof DialogError)) throw error
    return [400, errorPage(error.message)]
  }
}
