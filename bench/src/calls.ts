/**
 * Calls made against the fewest that would do, counted from the journal of the stand-in for Meta: a first export, then a run
 * with additions, removals and replacements, then both with calls that fail. The limit of rows in a call is lowered, so that a
 * hundred calls do not need a million people. At the end the far side has to hold exactly who should be there.
 */
import { hash } from 'node:crypto'
import type { Destination } from '@audience-sync/destination-kit/contract'
import { createMetaDestination } from '@audience-sync/destination-meta/destination'
import { claim } from '@audience-sync/sync-engine/worker/lease'
import { workAudience } from '@audience-sync/sync-engine/worker/work'
import { createMetaTwin, type MetaTwin } from '@audience-sync/twin-meta/twin'
import { onCluster } from './cluster.ts'
import { APP, makeAudience, makeEngine, queueRun } from './engine.ts'
import { type Figure, type Report, single } from './figures.ts'
import { personOf } from './people.ts'
import { makeTrust, startBehaviorExport } from './process.ts'
import { mustEqual, type Profile } from './rounds.ts'
import { makeTenant, START } from './tenant.ts'
import { grantFrom } from './twin.ts'

const LIMIT = 100 // rows of a call here; 10,000 at Meta

interface Step {
  readonly what: string
  readonly join: readonly number[]
  readonly leave: readonly number[]
  /** Another e-mail address: the old set goes, the new one comes. */
  readonly change: readonly number[]
  /** Share of the calls that fail. */
  readonly failing: number
}

export const run = (profile: Profile): Promise<Report> =>
  onCluster(async (cluster) => {
    const size = profile === 'full' ? 40_000 : 10_000
    const steps = stepsOf(size)
    const trust = await makeTrust()
    const database = await cluster.database('calls')
    const here = await makeTenant(database)
    const behavior = await here.behavior('calls')
    await here.people(range(1, size * 2), START)
    const twin = await createMetaTwin({ ...APP, port: 0 })
    const behaviorExport = await startBehaviorExport(trust, database.url('behavior_export'), here.kek)
    const grant = await grantFrom(twin.url)
    const faults = { share: 0, made: 0, uploads: 0 }
    const destination = failing(limited(createMetaDestination({ baseUrl: twin.url }) as Destination), twin, faults)
    const engine = await makeEngine({ database, behaviorExportUrl: behaviorExport.url, trust, destination, grant })
    try {
      const audiences = database.as('audiences')
      const audience = await makeAudience(audiences, {
        tenantId: here.tenantId,
        behaviorId: behavior.id,
        accountExternalId: grant.accountExternalId,
        identifiers: ['email', 'phone'],
        destinationNo: engine.destinationNo,
      })
      const desired = new Map<number, string>()
      const figures: Figure[] = []
      for (const [index, step] of steps.entries()) {
        const time = START + (index + 1) * 60_000
        for (const no of step.join) desired.set(no, '')
        for (const no of step.leave) desired.delete(no)
        for (const no of step.change) desired.set(no, `.v${index}`)
        await here.members(behavior.no, step.join, true, time)
        await here.members(behavior.no, step.leave, false, time)
        await here.people(step.change, time, `.v${index}`)
        const before = twin.journal().at(-1)?.seq ?? 0
        Object.assign(faults, { share: step.failing, made: 0, uploads: 0 })
        await queueRun(audiences, audience)
        for (let lease = await claim(engine, never); lease; lease = await claim(engine, never)) await workAudience(engine, lease)
        twin.clock.advance(60_000)
        mustEqual(`${step.what}: who is there`, far(twin), expectedFar(desired))
        const [calls, least] = [uploads(twin, before), leastOf(step)]
        figures.push({
          sides: [
            single(`${step.what}: calls`, '', calls),
            single('fewest that would do', '', least),
            ...(faults.made > 0 ? [single('calls that failed', '', faults.made)] : []),
          ],
          ratio: {
            what: faults.made > 0 ? 'calls against the fewest and one more for each that failed' : 'calls against the fewest',
            value: calls / (least + faults.made),
          },
          goal: { no: 11, is: 'at most', base: 1, stretch: 1 },
        })
      }
      return {
        name: 'calls',
        title: 'calls to the destination against the fewest possible',
        conditions: { profile, people: size, 'rows a call': LIMIT, feed: 'behavior-export over HTTP', ...cluster.settings },
        figures,
      }
    } finally {
      await engine.close()
      await behaviorExport.stop()
      await twin.close()
    }
  })

const never = new AbortController().signal
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** Rests, so that no step ends at a full call by chance. */
function stepsOf(size: number): readonly Step[] {
  const part = (share: number, offset: number) => range(offset + 1, offset + Math.floor(size * share) + 7)
  return [
    { what: 'first export', join: range(1, size - 33), leave: [], change: [], failing: 0 },
    { what: 'joins, leaves, other e-mails', join: part(0.3, size), leave: part(0.2, 0), change: part(0.1, size / 2), failing: 0 },
    { what: 'the same, 1 % of the calls failing', join: part(0.4, size * 1.4), leave: part(0.25, size / 4), change: part(0.2, size * 0.7), failing: 0.01 },
  ]
}

const limited = (destination: Destination): Destination => ({
  ...destination,
  manifest: { ...destination.manifest, limits: { ...destination.manifest.limits, rowsPerCall: LIMIT } },
})

/** Within every hundred uploads, something is made to happen to one: not done at all, or done and the answer lost. */
function failing(destination: Destination, twin: MetaTwin, faults: { share: number; made: number; uploads: number }): Destination {
  return {
    ...destination,
    push(ctx, request) {
      faults.uploads += 1
      const every = Math.round(1 / faults.share)
      if (faults.uploads % every === every / 2) {
        const match = { path: '/users' }
        twin.fault(faults.made % 2 === 0 ? { kind: 'status', status: 503, match } : { kind: 'apply_then_reset', match })
        faults.made += 1
      }
      return destination.push(ctx, request)
    },
  }
}

const leastOf = ({ join, leave, change }: Step) => Math.ceil((join.length + change.length) / LIMIT) + Math.ceil((leave.length + change.length) / LIMIT)

const uploads = (twin: MetaTwin, after: number) => twin.journal(after).filter(({ path }) => path.split('?')[0]?.endsWith('/users')).length

const sha256 = (text: string) => hash('sha256', text, 'hex')

/** Digests of the e-mail addresses that should be there, made the plain way. */
const expectedFar = (desired: ReadonlyMap<number, string>) =>
  digest([...desired].map(([no, variant]) => sha256((personOf(no, variant).email ?? '').trim().toLowerCase())))

const far = (twin: MetaTwin) =>
  digest(twin.state().audiences.flatMap(({ id }: { id: string }) => (twin.audience(id)?.members ?? []).map((member) => String(member.EMAIL))))

const digest = (digests: readonly string[]) => ({ people: digests.length, sha256: sha256(digests.toSorted().join()) })
