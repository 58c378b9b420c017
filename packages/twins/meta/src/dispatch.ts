/**
 * One Graph call from arrival to answer: journal → parameters → fault → version and route → token and proof → limits → handler → answer. Faults
 * come early because the platform's own bad days do, too.
 */
import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Answer } from './answers.ts'
import { visibleAudience } from './audiences.ts'
import { GraphError, invalidParameter, tokenMissing, unknownObject } from './errors.ts'
import { type Fault, isInstead } from './faults.ts'
import type { Call, Route } from './graph.ts'
import { type Params, readParams, refuseUnknown } from './params.ts'
import { playAfter, playInstead } from './play.ts'
import { letters } from './random.ts'
import { type Asked, readPath, requireRoute } from './routing.ts'
import { checkProof } from './tokens.ts'
import type { World } from './world.ts'

export const dispatch = async (world: World, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
  world.clock.settle()
  const [path = '/', query = ''] = request.url.split(/\?(.*)/s)
  const raw = Buffer.isBuffer(request.body) ? request.body : undefined
  let rows: number | null = null
  const entry = world.journal.open({ at: world.clock.now(), method: request.method, path: request.url, headers: request.headers, raw, rows: () => rows })
  const answer: Answer = { status: 200, body: null, headers: commonHeaders(world) }
  let fault: Fault | undefined
  try {
    const params = readParams(query, raw, request.headers['content-type'])
    rows = countRows(params)
    // A `method` parameter is for stacks that drop the bodies of DELETE (§4.4).
    const asked = readPath((params.text('method') ?? request.method).toUpperCase(), path)
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? params.text('access_token')
    fault = world.faults.take({ method: asked.method, path, body: () => raw?.toString('utf8') ?? '', users: asked.route?.users })
    if (fault !== undefined && isInstead(fault.kind)) {
      const played = await playInstead(world, fault, reply, answer, bearer)
      entry.finish(played.status, played.response, fault.kind)
      return reply
    }
    answer.body = work(world, asked, { params, bearer, fault, raw, url: `${world.url}${request.url}` }, answer)
  } catch (error) {
    const known = error instanceof GraphError ? error : new GraphError(1, 'An unknown error occurred')
    if (known !== error) console.error('the twin failed', error)
    answer.status = known.status
    answer.body = { error: { ...known.body, fbtrace_id: answer.headers['x-fb-trace-id'] } }
  }
  entry.finish(answer.status, answer.body, fault?.kind)
  await playAfter(fault, reply, answer)
  return reply
}

type Request = { params: Params; bearer: string | undefined; fault: Fault | undefined; raw: Buffer | undefined; url: string }

const work = (world: World, asked: Asked, request: Request, answer: Answer): unknown => {
  const { route, id, served } = requireRoute(asked, world.versions)
  answer.headers['facebook-api-version'] = served
  if (asked.version !== undefined && served !== asked.version)
    answer.headers['x-ad-api-version-warning'] = `The call has been auto-upgraded to ${served} as ${asked.version} has been deprecated.`
  const call = createCall(world, asked.method, route, id, request)
  refuseUnknown(call.params, route.params)
  if (!route.anonymous) call.token()
  charge(world, route, call, answer)
  return route.handle(call)
}

const createCall = (world: World, method: string, route: Route, id: string, { params, bearer, fault, raw, url }: Request): Call => {
  const audience = () => visibleAudience(world, id, method)
  return {
    world,
    method,
    params,
    url,
    fault,
    audience,
    bearer: () => bearer,
    digest: () =>
      createHash('sha256')
        .update(raw ?? url)
        .digest('hex'),
    rawText: () => raw?.toString('utf8') ?? url,
    token: () => {
      if (bearer === undefined) throw tokenMissing()
      const token = world.tokens.alive(world.clock.now(), bearer)
      const proof = params.text('appsecret_proof')
      if (proof !== undefined) checkProof(world.settings.appSecret, bearer, proof, params.text('appsecret_time'), world.clock.now())
      else if (world.settings.requireAppSecretProof) throw invalidParameter('API calls from the server require an appsecret_proof argument', 'appsecret_proof')
      return token
    },
    account: () => {
      const accountId = route.path.startsWith(':audience') ? audience().accountId : id
      const account = world.accounts.get(accountId)
      if (account === undefined || account.tasks.length === 0) throw unknownObject(`act_${accountId}`, method)
      return account
    },
  }
}

/** Counts the call against its account and adds the usage headers. @throws GraphError when the account is over a limit */
const charge = (world: World, route: Route, call: Call, answer: Answer): void => {
  const now = world.clock.now()
  if (!route.path.startsWith(':')) {
    const { headers, refusal } = world.limiter.chargeApp(now)
    Object.assign(answer.headers, headers)
    if (refusal !== undefined) throw refusal
    return
  }
  const account = call.account()
  const { headers, refusal } = world.limiter.charge(now, {
    accountId: account.id,
    businessId: account.business?.id ?? call.token().userId,
    tier: account.tier,
    write: route.method !== 'GET',
    audience: route.path !== ':account',
    cpuPercent: account.cpuPercent,
    timePercent: account.timePercent,
    activeAudiences: Array.from(world.audiences.values()).filter((one) => one.accountId === account.id && one.deletedAt === undefined).length,
  })
  Object.assign(answer.headers, headers)
  if (refusal !== undefined) throw refusal
}

const commonHeaders = (world: World): Record<string, string> => ({
  date: new Date(world.clock.now()).toUTCString(),
  'facebook-api-version': world.versions.newest(),
  'x-fb-trace-id': letters(world.random, 11),
  'x-fb-request-id': letters(world.random, 22),
  'cache-control': 'private, no-cache, no-store, must-revalidate',
})

const countRows = (params: Params): number | null => {
  if (!params.has('payload')) return null
  const payload = params.json('payload') as { data?: unknown } | undefined
  return Array.isArray(payload?.data) ? payload.data.length : null
}
