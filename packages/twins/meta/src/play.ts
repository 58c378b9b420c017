/** Plays the faults that answer in place of the work, and those that spoil the answer after it. */
import type { FastifyReply } from 'fastify'
import { type Answer, cut, drip, flood, hang, sendJson, sendText } from './answers.ts'
import { errorByCode, type GraphError, tokenDead } from './errors.ts'
import type { Fault } from './faults.ts'
import { usageHeaders } from './limits.ts'
import type { World } from './world.ts'

/** Until access is regained, unless the fault says so: short, like everything here, so that a test need not wait a minute. */
const THROTTLE_MS = 2_000

/** What the journal shows; `status` null when nothing was answered. */
type Played = { status: number | null; response: unknown }

export const playInstead = async (world: World, fault: Fault, reply: FastifyReply, answer: Answer, bearer: string | undefined): Promise<Played> => {
  const fail = (error: GraphError, headers: Record<string, string> = {}): Played => {
    const response = { error: { ...error.body, fbtrace_id: answer.headers['x-fb-trace-id'] } }
    sendJson(reply, { status: error.status, body: response, headers: { ...answer.headers, ...headers } })
    return { status: error.status, response }
  }
  switch (fault.kind) {
    case 'throttle': {
      const code = fault.code ?? 17
      return fail(
        errorByCode(code, fault.subcode ?? (code === 17 ? 2446079 : undefined), fault.status),
        throttleHeaders(world, code, fault.delayMs ?? THROTTLE_MS),
      )
    }
    case 'expire_token': {
      const subcode = fault.subcode ?? 463
      if (bearer !== undefined) world.tokens.kill({ value: bearer }, subcode)
      return fail(tokenDead(subcode))
    }
    case 'html_200':
      sendText(reply, answer, 'text/html; charset=utf-8', '<!DOCTYPE html><html><body><h1>Sorry, something went wrong.</h1></body></html>')
      return { status: 200, response: 'HTML' }
    case 'bad_json':
      sendText(reply, answer, 'application/json; charset=UTF-8', '{"audience_id":"23')
      return { status: 200, response: 'cut JSON' }
    case 'redirect':
      sendText(reply, { ...answer, status: 302, headers: { ...answer.headers, location: `${world.url}/redirected` } }, 'text/plain', '')
      return { status: 302, response: '' }
    case 'huge_body':
      await flood(reply, answer)
      return { status: 200, response: 'endless JSON' }
    case 'hang':
      return (await hang(reply, fault.delayMs)) ? fail(errorByCode(2, undefined, 504)) : { status: null, response: null }
    default:
      return fail(plainError(fault))
  }
}

/** Business use cases (80000 and up) tell the wait in minutes, the account's score in seconds; each in its own header. */
const throttleHeaders = (world: World, code: number, ms: number): Record<string, string> => {
  const [account] = world.accounts.values()
  const who = { businessId: account?.business?.id ?? '0', tier: account?.tier ?? world.settings.tier }
  const businessCase = code >= 80_000
  return usageHeaders(
    who,
    businessCase ? { scorePercent: 10, resetMs: 0, callPercent: 100, regainMs: ms } : { scorePercent: 100, resetMs: ms, callPercent: 10, regainMs: 0 },
  )
}

/** A `status` fault: by its code, else by what the platform says with such a status. */
const plainError = ({ status, code, subcode }: Fault): GraphError => {
  if (code !== undefined) return errorByCode(code, subcode, status)
  const [like, detail] = BY_STATUS[status ?? 500] ?? [(status ?? 500) >= 500 ? 2 : 100, undefined]
  return errorByCode(like, subcode ?? detail, status ?? 500)
}
const BY_STATUS: Readonly<Record<number, [number, number | undefined]>> = {
  200: [1, undefined],
  401: [190, 463],
  403: [200, undefined],
  404: [100, 33],
  429: [17, 2446079],
}

/** Sends an answer, or spoils it. */
export const playAfter = async (fault: Fault | undefined, reply: FastifyReply, answer: Answer): Promise<void> => {
  switch (fault?.kind) {
    case 'apply_then_hang':
      if (await hang(reply, fault.delayMs)) sendJson(reply, answer)
      return
    case 'apply_then_reset':
      return cut(reply)
    case 'slow_body':
      return drip(reply, answer, fault.delayMs)
    default:
      sendJson(reply, answer)
  }
}
