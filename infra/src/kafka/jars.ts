/** Apache Kafka's jars from Maven's repository, once, into a cache folder that outlives clones of the data. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const pom = join(root, 'infra/kafka/pom.xml')
const VERSION = '4.3.1' // of the pom; names the folder, so that a new version fetches anew
const LEAST_JAVA = 17 // Kafka 4's brokers need it

export type Availability = { readonly ok: true; readonly libs: string } | { readonly ok: false; readonly why: string }

/** Says whether a broker can be started here, and fetches its jars if they are missing (some 4 s and 44 MB, the first time). */
export async function kafkaAvailable(cache = process.env.AUDIENCE_SYNC_CACHE ?? join(root, '.data/cache')): Promise<Availability> {
  const java = spawnSync('java', ['-version'], { encoding: 'utf8' })
  const version = Number(/version "(\d+)/.exec(java.stderr ?? '')?.[1] ?? 0)
  if (version < LEAST_JAVA) return { ok: false, why: version ? `Java ${version} is here, ${LEAST_JAVA} is needed` : 'there is no Java' }
  const libs = join(cache, `kafka-${VERSION}`)
  if (existsSync(libs)) return { ok: true, libs }
  if (spawnSync('mvn', ['-v']).status !== 0) return { ok: false, why: 'there is no Maven to fetch the broker with' }
  mkdirSync(cache, { recursive: true })
  const fetched = mkdtempSync(join(cache, 'kafka-fetch-')) // moved when complete: a broken download is not taken for a broker
  const maven = spawnSync('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${fetched}`], {
    encoding: 'utf8',
  })
  if (maven.status !== 0 || readdirSync(fetched).length === 0) {
    rmSync(fetched, { recursive: true, force: true })
    return { ok: false, why: `Maven could not fetch the broker: ${(maven.stdout || maven.stderr).trim().slice(-500)}` }
  }
  try {
    renameSync(fetched, libs)
  } catch {
    rmSync(fetched, { recursive: true, force: true }) // somebody else was quicker
  }
  return { ok: true, libs }
}
