/**
 * Chaos: a behavior is filled and changed over three rounds while services are killed at seeded moments and started again at
 * once, as a supervisor would. Callers repeat what was not answered, as callers do: bulk lines are harmless twice, a refresh
 * carries an Idempotency-Key. In the end everything is compared (`verdict.ts`).
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { System } from '@audience-sync/testing/conductor'
import {
  type Answer,
  type AskOptions,
  type Client,
  type ConnectedMeta,
  createAudience,
  createBehavior,
  DEMO_ACCOUNT,
  FINISHED,
  type Json,
} from '@audience-sync/testing/conductor-client'
import { until } from '@audience-sync/testing/until'
import { customer, joins, leaves } from '../e2e/people.ts'
import type { Kill, Plan } from './plan.ts'

/** For `startSystem`: a killed worker's audience is taken over after seconds, not after most of a minute. */
export const CHAOS_ENV = { 'connector-meta': { ENGINE_LEASE_MS: '8000', ENGINE_CALL_MS: '4000' } }

const LINES = 5_000 // of one bulk request
const ANSWER_MS = 180_000 // a killed service, the session of its consumers and a slow machine
const AWAY: ReadonlySet<number> = new Set([502, 503, 504]) // the gateway’s words for a service that is away; any other refusal is an error
const RUN_MS = 300_000

export interface Killed extends Kill {
  /** From the kill until the service's probe was green again: its start, and the broker's patience with the dead consumer. */
  readonly readyMs: number
}

export interface Story {
  readonly behaviorId: string
  readonly audienceId: string
  readonly externalId: string
  readonly killed: readonly Killed[]
  readonly rounds: readonly { readonly ingestMs: number; readonly syncMs: number }[]
}

export async function play(system: System, client: Client, { accounts }: ConnectedMeta, plan: Plan, say: (line: string) => void): Promise<Story> {
  const behaviorId = await createBehavior(client, 'chaos')
  let audienceId = ''
  const killed: Promise<Killed>[] = []
  const rounds: { ingestMs: number; syncMs: number }[] = []
  const strike = (round: number, phase: Kill['phase']) => {
    for (const kill of plan.kills.filter((one) => one.round === round && one.phase === phase)) {
      const done = killLater(system, kill, say)
      done.catch(() => {}) // awaited at the end of the round; until then another failure may come first
      killed.push(done)
    }
  }

  for (const [index, { changed, joining, leaving }] of plan.rounds.entries()) {
    const began = performance.now()
    strike(index, 'ingest')
    for (const lines of slices(changed.map(customer))) await insist(client, '/v1/customers', lines)
    for (const lines of slices([...joining.map(joins), ...leaving.map(leaves)])) await insist(client, `/v1/behaviors/${behaviorId}/members`, lines)
    const told = performance.now()
    if (index === 0) {
      await Promise.all(killed)
      audienceId = (await createAudience(client, behaviorId, accounts.get(DEMO_ACCOUNT).id, { start: false })).id
    }
    strike(index, 'sync')
    await sync(client, audienceId)
    rounds.push({ ingestMs: Math.round(told - began), syncMs: Math.round(performance.now() - told) })
    say(`round ${index + 1}: told in ${rounds[index]?.ingestMs} ms, applied in ${rounds[index]?.syncMs} ms`)
    await Promise.all(killed)
  }
  await atRest(client, audienceId)
  const { externalId } = await client.get(`/v1/audiences/${audienceId}`)
  return { behaviorId, audienceId, externalId, killed: await Promise.all(killed), rounds }
}

/** Who is killed again while starting is started again: ready counts from the kill to the last start's green probe. */
async function killLater(system: System, kill: Kill, say: (line: string) => void): Promise<Killed> {
  await pause(kill.delayMs)
  const at = performance.now()
  await system.restart(kill.victim).catch(() => {})
  await until(`${kill.victim} to be ready`, () => system.waitReady(kill.victim).then(() => true), { timeoutMs: ANSWER_MS })
  const readyMs = Math.round(performance.now() - at)
  say(`killed ${kill.victim} ${kill.delayMs} ms into ${kill.phase} of round ${kill.round + 1}; ready again after ${readyMs} ms`)
  return { ...kill, readyMs }
}

/** Asks until it is answered: the connection may break, a service may be away. An answer that refuses is an error. */
async function persist(what: string, ask: () => Promise<Answer>): Promise<Json> {
  let refused: Answer | undefined
  const answered = await until(
    what,
    async () => {
      const answer = await ask()
      if (AWAY.has(answer.status)) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`)
      if (answer.status >= 300) refused = answer
      return answer
    },
    { timeoutMs: ANSWER_MS, everyMs: 200 },
  )
  if (refused) throw new Error(`${what} was refused: ${refused.status} ${JSON.stringify(refused.body)}`)
  return answered.body
}

function insist(client: Client, path: string, lines: readonly object[]): Promise<Json> {
  const options: AskOptions = { raw: lines.map((line) => JSON.stringify(line)).join('\n'), headers: { 'content-type': 'application/x-ndjson' } }
  return persist(`POST ${path}`, () => client.ask('POST', path, undefined, options))
}

/** One refresh, whatever happens to the services meanwhile: the key makes a repeated request the same one. */
async function sync(client: Client, audienceId: string): Promise<void> {
  const headers = { 'idempotency-key': randomUUID() }
  const { id } = await persist('the refresh', () => client.ask('POST', `/v1/audiences/${audienceId}/refresh`, {}, { headers }))
  const run = await until(
    `run ${id}`,
    async () => {
      const { status, body } = await client.ask('GET', `/v1/runs/${id}`)
      if (status === 200 && FINISHED.includes(body.status)) return body
      throw new Error(JSON.stringify(body))
    },
    { timeoutMs: RUN_MS, everyMs: 200 },
  )
  if (run.status !== 'completed') throw new Error(`The run ended as ${run.status}: ${JSON.stringify(run)}`)
}

/** Runs that were queued because a cause was still behind the horizon (SYNC.md C5) have ended, too. */
async function atRest(client: Client, audienceId: string): Promise<void> {
  await until(
    'no run is open',
    async () => (await client.get(`/v1/audiences/${audienceId}/runs`)).data.every(({ status }: Json) => FINISHED.includes(status)),
    { timeoutMs: RUN_MS, everyMs: 200 },
  )
}

function* slices<T>(all: readonly T[]): Generator<T[]> {
  for (let at = 0; at < all.length; at += LINES) yield all.slice(at, at + LINES)
}
