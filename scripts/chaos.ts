/**
 * Chaos at length, on a durable PostgreSQL and a broker of its own: `npm run chaos -- --profile quick|full [--seed N] [--members N]
 * [--kills N]`. Prints the plan's seed, what happened and the verdict; exit code 1 when anything was lost, doubled or left.
 */
import { parseArgs } from 'node:util'
import { startSystem } from '@audience-sync/testing/conductor'
import { connectMeta, newTenant } from '@audience-sync/testing/conductor-client'
import { planOf, profiles } from '../test/chaos/plan.ts'
import { CHAOS_ENV, play } from '../test/chaos/scenario.ts'
import { judge } from '../test/chaos/verdict.ts'

const { values } = parseArgs({
  options: { profile: { type: 'string', default: 'full' }, seed: { type: 'string' }, members: { type: 'string' }, kills: { type: 'string' } },
})
if (values.profile !== 'quick' && values.profile !== 'full') throw new Error(`--profile is ${values.profile}; it can be quick or full.`)
const profile = profiles[values.profile]
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const options = { seed, members: Number(values.members ?? profile.members), kills: Number(values.kills ?? profile.kills) }
const say = (line: string) => console.log(line)

say(`chaos: seed ${seed}, ${options.members} members, ${options.kills} kills`)
const plan = planOf(options)
const began = performance.now()
const system = await startSystem({ bus: 'kafka', env: CHAOS_ENV })
say(`${Math.round(performance.now() - began)} ms to start`)
try {
  const { client } = await newTenant(system.url, system.adminKey, 'chaos')
  const connection = await connectMeta(client, system.twin)
  const story = await play(system, client, connection, plan, say)
  const verdict = await judge(system, client, plan, story)
  const { added = 0, removed = 0, replaced = 0 } = verdict.counts
  const countsAgree = verdict.journal.added === added + replaced && verdict.journal.removed === removed + replaced
  const left = verdict.lost + verdict.surplus + verdict.doubled + verdict.unpublished + verdict.leases + verdict.lag + verdict.deadLetters
  const ready = story.killed.map(({ readyMs }) => readyMs).sort((a, b) => a - b)
  say(
    JSON.stringify(
      { ...verdict, readyMs: ready, rounds: story.rounds, countsAgree, crashes: system.crashes(), totalMs: Math.round(performance.now() - began) },
      null,
      2,
    ),
  )
  process.exitCode = left === 0 && countsAgree && system.crashes().length === 0 ? 0 : 1
} finally {
  await system.stop()
}
