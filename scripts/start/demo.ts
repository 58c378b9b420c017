/**
 * The main job, through the public API alone: connect the sandbox's account → customers and memberships in → three behaviors
 * exported → wait until the platform has applied them. Done again on old data it changes nothing that is right already.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Api, ApiProblem, apiOf, type Json } from './api.ts'
import { type DemoBehavior, demoBehaviors, demoPerson } from './demo-people.ts'
import type { System } from './system.ts'

const LINES = 5_000 // customers in one request: a second of work, and progress to show
const EVERY_MS = 250
const DEADLINE_MS = 15 * 60_000 // a million customers on a small machine

export interface Export {
  readonly behavior: DemoBehavior
  readonly audience: Json
  readonly run: Json
  /** As the far side holds it. */
  readonly members: readonly Readonly<Record<string, string>>[]
}

export interface MainJob {
  readonly customers: number
  readonly exports: readonly Export[]
}

export async function doMainJob(system: System, customers: number, say: (line: string) => void): Promise<MainJob> {
  const api = apiOf(system)
  const account = await connect(api, system)
  say(`connected to ${account.name} at Meta’s twin`)
  await sendCustomers(api, customers, say)
  const exports: Export[] = []
  for (const behavior of demoBehaviors) {
    const behaviorId = await sendBehavior(api, behavior, customers)
    const { audience, runId } = await exportBehavior(api, behavior, behaviorId, account.id)
    exports.push({ behavior, audience, run: { id: runId }, members: [] })
  }
  say(`exporting ${exports.map(({ behavior }) => behavior.name).join(', ')}`)
  const done = await Promise.all(exports.map((one) => finished(api, system, one)))
  return { customers, exports: done }
}

/** As a user would in the browser: begin, consent at the platform's page, come back, choose the account. */
async function connect(api: Api, system: System): Promise<Json> {
  const { data: known } = await api('GET', '/connections')
  const old = (known as Json[]).find(({ destination, status }) => destination === 'meta' && status !== 'revoked' && status !== 'failed')
  const returnUrl = `${system.url}/docs`
  const begun = old
    ? await api('POST', `/connections/${old.id}/reconnect`, { returnUrl })
    : await api('POST', '/connections', { destination: 'meta', returnUrl })
  const consent = await fetch(`${system.twinUrl}/_twin/authorize`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ authorizeUrl: begun.authorizeUrl }),
  })
  const { redirectUrl } = (await consent.json()) as { redirectUrl: string }
  const back = await fetch(redirectUrl, { redirect: 'manual' })
  const status = new URL(back.headers.get('location') ?? returnUrl).searchParams.get('status')
  if (status !== 'active') throw new Error(`The connection ended as ${status ?? back.status}.`)
  const { data: accounts } = await api('GET', `/connections/${begun.id}/accounts`)
  const usable = (accounts as Json[]).find((account) => account.termsSigned && account.canManageAudiences && account.status === 'active')
  if (!usable) throw new Error('No account of the sandbox can be used.')
  const { data: chosen } = await api('PUT', `/connections/${begun.id}/accounts`, { selected: [usable.externalId] })
  return (chosen as Json[]).find(({ externalId }) => externalId === usable.externalId) ?? usable
}

const EPOCH = Date.parse('2026-01-01T00:00:00Z')

async function sendCustomers(api: Api, customers: number, say: (line: string) => void): Promise<void> {
  const occurredAt = new Date(EPOCH).toISOString()
  const totals = { received: 0, changed: 0, errors: 0 }
  for (let from = 0; from < customers; from += LINES) {
    const lines = Array.from({ length: Math.min(LINES, customers - from) }, (_, i) => {
      const { customerId, identifiers, consent } = demoPerson(from + i)
      return JSON.stringify({ customerId, identifiers, consent, occurredAt })
    })
    const answer = await api('POST', '/customers', `${lines.join('\n')}\n`)
    totals.received += answer.received
    totals.changed += answer.changed
    totals.errors += answer.errors.length
  }
  say(`${totals.received} customers in, ${totals.changed} of them new or changed`)
}

async function sendBehavior(api: Api, { key, name, kind, member }: DemoBehavior, customers: number): Promise<string> {
  const id = await api('POST', '/behaviors', { key, name, kind, description: 'made by the demo' }).then(
    (made) => made.id as string,
    async (error: unknown) => {
      if (!(error instanceof ApiProblem && error.code === 'behavior_key_taken')) throw error
      const { data } = await api('GET', '/behaviors?limit=200')
      return (data as Json[]).find((behavior) => behavior.key === key)?.id as string
    },
  )
  const occurredAt = new Date(EPOCH + 60_000).toISOString()
  const members = Array.from({ length: customers }, (_, i) => i).filter(member)
  for (let from = 0; from < members.length; from += LINES) {
    const lines = members.slice(from, from + LINES).map((i) => JSON.stringify({ customerId: `c_${i}`, member: true, occurredAt }))
    await api('POST', `/behaviors/${id}/members`, `${lines.join('\n')}\n`)
  }
  return id
}

/** The twin forgets its audiences when it stops, so those of an earlier start are let go of and made anew. */
async function exportBehavior(api: Api, { name, schedule }: DemoBehavior, behaviorId: string, accountId: string): Promise<{ audience: Json; runId: string }> {
  const { data } = await api('GET', '/audiences?limit=200')
  for (const old of (data as Json[]).filter((audience) => audience.behaviorId === behaviorId && audience.status !== 'deleting'))
    await api('DELETE', `/audiences/${old.id}?keepRemote=true`)
  const audience = await api('POST', '/audiences', {
    behaviorId,
    destination: 'meta',
    accountId,
    name: `[Behavior] - ${name} - demo`,
    description: 'made by the demo',
    schedule,
    identifiers: ['email', 'phone'],
    settings: { customerFileSource: 'USER_PROVIDED_ONLY' },
  })
  const { data: runs } = await api('GET', `/audiences/${audience.id}/runs`)
  return { audience, runId: (runs as Json[])[0]?.id }
}

const ENDED = new Set(['completed', 'completed_with_rejections', 'failed', 'cancelled', 'held'])

async function finished(api: Api, { twinUrl }: System, one: Export): Promise<Export> {
  const deadline = Date.now() + DEADLINE_MS
  for (;;) {
    const run = await api('GET', `/runs/${one.run.id}`)
    if (ENDED.has(run.status) || Date.now() > deadline) {
      const audience = await api('GET', `/audiences/${one.audience.id}`)
      const far = audience.externalId ? await (await fetch(`${twinUrl}/_twin/audiences/${audience.externalId}`)).json() : { members: [] }
      return { ...one, audience, run, members: (far as { members: Record<string, string>[] }).members }
    }
    await sleep(EVERY_MS)
  }
}
