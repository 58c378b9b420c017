/** The control routes under `/_twin`, which no real platform has: look inside, change what others would change, break things, push the clock. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { type Audience, deleteAudience, operationStatus } from './audiences.ts'
import { callBack, callback } from './callbacks.ts'
import { accountPatch, audiencePatch, changeAudience, handMade, makeByHand } from './control-input.ts'
import { DialogError, decide, readDialog } from './dialog.ts'
import { faultSchema } from './faults.ts'
import type { Cell } from './members.ts'
import { versionsPatch } from './versions.ts'
import type { World } from './world.ts'

const authorization = z.strictObject({ authorizeUrl: z.url(), decline: z.array(z.string()).default([]), deny: z.boolean().default(false) })
/** Identifiers as they are sent, hashed, of one platform account; declared before rows with them come. */
const person = z.strictObject({ identifiers: z.array(z.string()).min(2) })
const push = z.strictObject({ advanceMs: z.int().nonnegative() })
const listing = z.object({ after: z.coerce.number().int().nonnegative().default(0) })

export type TwinAudience = { members: Record<string, Cell>[]; size: number; pending: number }
export type TwinState = ReturnType<typeof twinState>

/** Members are those applied; `pending` counts the calls that are accepted and not yet applied. */
export const twinAudience = (audience: Audience): TwinAudience => ({
  members: audience.members.list(),
  size: audience.members.size(),
  pending: audience.pending,
})

export const twinState = (world: World) => ({
  now: new Date(world.clock.now()).toISOString(),
  accounts: Array.from(world.accounts.values(), (account) => ({ ...account, score: world.limiter.score(world.clock.now(), account.id) })),
  audiences: Array.from(world.audiences.values(), (audience) => ({
    id: audience.id,
    accountId: audience.accountId,
    name: audience.name,
    description: audience.description,
    subtype: audience.subtype,
    size: audience.members.size(),
    pending: audience.pending,
    operationStatus: operationStatus(world, audience),
    timeContentUpdated: audience.contentUpdatedAt,
    deleted: audience.deletedAt !== undefined,
  })),
  versions: world.versions.list(),
  optOuts: world.optOuts.map((optOut) => ({ ...optOut })),
  sessions: world.sessions.count(),
  tokens: world.tokens
    .all()
    .map(({ userId, type, scopes, issuedAt, expiresAt, dead }) => ({ userId, type, scopes: Array.from(scopes), issuedAt, expiresAt, dead: dead ?? null })),
  faults: world.faults.list(),
})

/** All but issued tokens. */
export const resetWorld = (world: World, accounts: World['accounts']): void => {
  world.clock.reset()
  world.audiences.clear()
  world.people.clear()
  world.sessions.reset()
  world.optOuts.length = 0
  world.limiter.reset()
  world.faults.clear()
  world.versions.reset()
  world.journal.reset()
  world.accounts.clear()
  for (const [id, account] of accounts) world.accounts.set(id, account)
}

/** @throws DialogError where the page would be an error page */
export const authorize = (
  world: World,
  { authorizeUrl, decline = [], deny = false }: { authorizeUrl: string; decline?: readonly string[]; deny?: boolean },
): string => decide(world, readDialog(world, new URL(authorizeUrl).searchParams), { allow: !deny, declined: decline })

class NotThere extends Error {}

export const registerControl = (app: FastifyInstance, world: World, freshAccounts: () => World['accounts']): void => {
  const accountOf = (request: FastifyRequest) => {
    const account = world.accounts.get(idOf(request))
    if (account === undefined) throw new NotThere('no such account')
    return account
  }
  const audienceOf = (request: FastifyRequest) => {
    const audience = world.audiences.get(idOf(request))
    if (audience === undefined || audience.deletedAt !== undefined) throw new NotThere('no such audience')
    return audience
  }
  app.register(
    async (control) => {
      control.setErrorHandler((error, _request, reply) =>
        reply.code(error instanceof NotThere ? 404 : isBadInput(error) ? 400 : 500).send({ error: error instanceof Error ? error.message : String(error) }),
      )
      control.addHook('onRequest', async () => world.clock.settle())

      control.get('/health', async () => ({ status: 'ok', now: new Date(world.clock.now()).toISOString() }))
      control.get('/journal', async (request) => world.journal.list(listing.parse(request.query).after))
      control.get('/state', async () => twinState(world))
      control.get('/audiences/:id', async (request) => twinAudience(audienceOf(request)))
      control.post('/audiences', async (request, reply) => {
        const wanted = readBody(request, handMade)
        if (!world.accounts.has(wanted.accountId)) throw new NotThere('no such account')
        return reply.code(201).send({ id: makeByHand(world, wanted).id })
      })
      control.patch('/audiences/:id', async (request, reply) => {
        const audience = audienceOf(request)
        changeAudience(audience, readBody(request, audiencePatch))
        audience.updatedAt = world.clock.now()
        return reply.code(204).send()
      })
      control.delete('/audiences/:id', async (request, reply) => {
        deleteAudience(world, audienceOf(request))
        return reply.code(204).send()
      })
      control.patch('/accounts/:id', async (request) => Object.assign(accountOf(request), readBody(request, accountPatch)))
      control.post('/people', async (request, reply) => {
        const { identifiers } = readBody(request, person)
        for (const identifier of identifiers) world.people.set(identifier, identifiers[0] ?? '')
        return reply.code(204).send()
      })
      control.post('/faults', async (request, reply) => {
        const fault = readBody(request, faultSchema)
        world.faults.add(fault)
        return reply.code(201).send(fault)
      })
      control.get('/faults', async () => world.faults.list())
      control.delete('/faults', async (_request, reply) => {
        world.faults.clear()
        return reply.code(204).send()
      })
      control.post('/clock', async (request) => {
        world.clock.advance(readBody(request, push).advanceMs)
        return { now: new Date(world.clock.now()).toISOString() }
      })
      control.get('/versions', async () => world.versions.list())
      control.patch('/versions', async (request) => {
        world.versions.patch(readBody(request, versionsPatch))
        return world.versions.list()
      })
      control.post('/deauthorize', async (request) => callBack(world, readBody(request, callback)))
      control.post('/reset', async (_request, reply) => {
        resetWorld(world, freshAccounts())
        return reply.code(204).send()
      })
      control.post('/authorize', async (request) => ({ redirectUrl: authorize(world, readBody(request, authorization)) }))
      control.all('/*', async (_request, reply) => reply.code(404).send({ error: 'no such control route' }))
    },
    { prefix: '/_twin' },
  )
}

const idOf = (request: FastifyRequest): string => (request.params as { id: string }).id.replace(/^act_/, '')

const readBody = <T extends z.ZodType>(request: FastifyRequest, schema: T): z.output<T> => {
  const raw = Buffer.isBuffer(request.body) ? request.body.toString('utf8') : ''
  return schema.parse(raw === '' ? {} : JSON.parse(raw))
}
const isBadInput = (error: unknown): boolean => error instanceof z.ZodError || error instanceof SyntaxError || error instanceof DialogError
