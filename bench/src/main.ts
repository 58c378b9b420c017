/**
 * `npm run bench -- <name>|all [--profile quick|full]`. Each benchmark is one file with a `run`; `all` gives each a process of
 * its own, so that none inherits another's heap. Ends with 1 when an output was wrong, never because of a time.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { print, type Report, save } from './figures.ts'
import type { Profile } from './rounds.ts'

const benchmarks: Readonly<Record<string, () => Promise<{ run(profile: Profile): Promise<Report> }>>> = {
  transform: () => import('./transform.ts'),
  ingest: () => import('./ingest.ts'),
  plan: () => import('./plan.ts'),
  calls: () => import('./calls.ts'),
  memory: () => import('./memory.ts'),
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { profile: { type: 'string', default: 'quick' } } })
const [name = 'all'] = positionals
const { profile } = values
const known = Object.keys(benchmarks)
if ((name !== 'all' && !known.includes(name)) || (profile !== 'quick' && profile !== 'full')) {
  process.stderr.write(`usage: npm run bench -- all|${known.join('|')} [--profile quick|full]\n`)
  process.exit(2)
}

if (name === 'all') {
  const self = fileURLToPath(import.meta.url)
  const failed = known.filter((one) => spawnSync(process.execPath, [...process.execArgv, self, one, '--profile', profile], { stdio: 'inherit' }).status !== 0)
  if (failed.length > 0) process.stderr.write(`wrong, or not run to the end: ${failed.join(', ')}\n`)
  process.exit(failed.length > 0 ? 1 : 0)
}

const benchmark = await benchmarks[name]?.()
if (!benchmark) throw new Error(`There is no benchmark ${name}.`)
const report = await benchmark.run(profile)
save(report)
process.stdout.write(print(report))
process.exit(0)
