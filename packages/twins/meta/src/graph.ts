/** What a Graph route is and what its handler gets; the dispatcher in dispatch.ts finds the route and does what all routes need. */
import type { Account } from './accounts.ts'
import type { Audience } from './audiences.ts'
import { permissionMissing } from './errors.ts'
import type { Fault } from './faults.ts'
import type { Params } from './params.ts'
import type { Token } from './tokens.ts'
import type { World } from './world.ts'

export type Call = {
  world: World
  method: string
  params: Params
  /** Sha-256 of the body, to know a repeated batch. */
  digest: () => string
  rawText: () => string
  /** Where this call went, for paging links. */
  url: string
  fault: Fault | undefined
  /** The credential as it was sent, for `debug_token`, which takes the app's. */
  bearer(): string | undefined
  token(): Token
  /** The account that `act_…` or the audience's id in the path stands for; there for routes with such a path. */
  account(): Account
  audience(): Audience
}

/** `:account` is `act_<digits>`, `:audience` digits; anything else stands for itself. */
export type Route = {
  method: 'GET' | 'POST' | 'DELETE'
  path: string
  /** Login calls work without a version, Marketing calls only with a living one (§0). */
  family: 'login' | 'marketing'
  /** Whether a person's token is needed. */
  anonymous?: boolean
  /** Uploads and removals, for the faults that change them. */
  users?: 'add' | 'remove' | 'replace'
  params: readonly string[]
  handle(call: Call): unknown
}

/** @throws GraphError 200 unless the token may write to ad accounts and the person may work on this one */
export const requireWrite = (call: Call): void => {
  const account = call.account()
  if (!call.token().scopes.has('ads_management')) throw permissionMissing('Ad account owner has NOT granted ads_management permission')
  call.world.tokens.use(call.world.clock.now(), call.token(), 'ads_management')
  if (!mayEdit(account)) throw permissionMissing('Requires the MANAGE or ADVERTISE task on the ad account')
  if (CLOSED.has(account.status)) throw permissionMissing('The ad account is disabled or closed')
}

/** Audience work needs one of these tasks (§3.5). */
export const mayEdit = (account: Account): boolean => account.tasks.includes('MANAGE') || account.tasks.includes('ADVERTISE')

/** Disabled, pending closure, closed. */
export const CLOSED: ReadonlySet<number> = new Set([2, 100, 101])
