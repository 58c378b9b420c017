/**
 * A first export through whole processes: connector-meta and behavior-export each their own, the stand-in for Meta a third,
 * `connections` played by this one. How much memory the two ever had, among few members and among ten times as many, and how
 * long it took from the run's start until all was accepted. At the end the far side has to hold everyone.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Grant } from '@audience-sync/contracts/internal/grants'
import { destinationNo } from '@audience-sync/sync-engine/connector'
import { type Cluster, onCluster } from './cluster.ts'
import { APP, makeAudience, queueRun, syncKek } from './engine.ts'
import { type Report, single } from './figures.ts'
import { compile, makeTrust, type Process, startBehaviorExport, startProcess, type Trust, until } from './process.ts'
import { mustEqual, type Profile } from './rounds.ts'
import { makeTenant, START } from './tenant.ts'
import { grantFrom, stateOf } from './twin.ts'

const FACTOR = 10
const EXPORT_MS = 30 * 60_000 // of a million, on a machine that does other things too
const LIMIT_MB = { connector: 768, feed: 1024 } // k8s/connector/connector.yaml, k8s/base/behavior-export.yaml
const TWIN_HEAP = ['--max-old-space-size=8192'] // it holds everybody

export const run = (profile: Profile): Promise<Report> =>
  onCluster(async (cluster) => {
    const few = profile === 'full' ? 100_000 : 10_000
    compile('services/behavior-export', 'services/connector-meta')
    const trust = await makeTrust()
    const small = await exported(cluster, trust, 'few', few)
    const large = await exported(cluster, trust, 'many', few * FACTOR)
    const mb = (what: string, value: number) => single(what, 'MB', value)
    return {
      name: 'memory',
      title: 'a first export through the whole engine: memory and time',
      conditions: {
        profile,
        'members, few': few,
        'members, many': few * FACTOR,
        identifiers: 6,
        'bus of the processes': 'embedded',
        rounds: 1,
        ...cluster.settings,
      },
      figures: [
        {
          sides: [mb(`connector-meta, peak at ${few * FACTOR}`, large.connectorMb), mb(`the same at ${few}`, small.connectorMb)],
          ratio: { what: `peak at ${FACTOR} times the members`, value: large.connectorMb / small.connectorMb },
          goal: { no: 12, is: 'at most', base: 1.25, stretch: 1.1 },
        },
        {
          sides: [mb('connector-meta, peak', large.connectorMb), mb('peak while starting', large.idleMb)],
          goal: { no: 12, is: 'at most', base: 220, stretch: 150 },
        },
        {
          sides: [mb(`behavior-export, peak at ${few * FACTOR}`, large.feedMb), mb(`the same at ${few}`, small.feedMb)],
          ratio: { what: `peak at ${FACTOR} times the members`, value: large.feedMb / small.feedMb },
        },
        {
          sides: [
            single(`export of ${few * FACTOR}, until accepted`, 's', large.seconds),
            single('COPY of the same join, in the server', 's', large.copySeconds),
          ],
          ratio: { what: 'times the bare read (with ledger, encryption and two services between)', value: large.seconds / large.copySeconds },
          goal: { no: 13, is: 'at most', base: 4, stretch: 2 },
        },
        {
          sides: [
            single(`connector-meta, processor time at ${few * FACTOR}`, 'µs a member', large.cpu.connector),
            single(`at ${few}`, 'µs a member', small.cpu.connector),
          ],
          ratio: { what: `a member, among ${FACTOR} times as many`, value: large.cpu.connector / small.cpu.connector },
        },
        {
          sides: [
            single(`behavior-export, processor time at ${few * FACTOR}`, 'µs a member', large.cpu.feed),
            single(`at ${few}`, 'µs a member', small.cpu.feed),
          ],
          ratio: { what: `a member, among ${FACTOR} times as many`, value: large.cpu.feed / small.cpu.feed },
        },
        {
          sides: [
            single(`export of ${few * FACTOR}`, 'k members/s', (few * FACTOR) / large.seconds / 1_000),
            single(`of ${few}`, 'k members/s', few / small.seconds / 1_000),
          ],
        },
      ],
    }
  })

async function exported(cluster: Cluster, trust: Trust, name: string, members: number) {
  const database = await cluster.database(name)
  const here = await makeTenant(database)
  const behavior = await here.behavior('everyone')
  const everyone = Array.from({ length: members }, (_, i) => i + 1)
  await here.people(everyone, START)
  await here.members(behavior.no, everyone, true, START)
  await database.admin('VACUUM ANALYZE behavior_export.customer, behavior_export.membership')
  const copyStarted = performance.now()
  await database.admin(
    `COPY (SELECT c.no, c.customer_id, c.purposes, c.groups, c.fingerprints, c.identifiers FROM behavior_export.membership m
       JOIN behavior_export.customer c ON c.no = m.customer_no WHERE m.behavior_no = ${behavior.no} AND m.member) TO '/dev/null'`,
  )
  const copySeconds = (performance.now() - copyStarted) / 1_000

  const twin = await startProcess(
    '@audience-sync/twin-meta/main',
    { META_APP_ID: APP.appId, META_APP_SECRET: APP.appSecret },
    { ready: '/_twin/health', nodeOptions: TWIN_HEAP },
  )
  const grant = await grantFrom(twin.url)
  const connections = await playConnections(grant)
  const feed = await startBehaviorExport(trust, database.url('behavior_export'), here.kek, { compiled: true, limitMb: LIMIT_MB.feed })
  const connector = await startProcess(
    '@audience-sync/connector-meta/main',
    {
      ...trust.env('connector-meta'),
      DATABASE_URL: database.url('connector_meta'),
      SYNC_KEK: syncKek(),
      BEHAVIOR_EXPORT_URL: feed.url,
      CONNECTIONS_URL: connections.url,
      META_GRAPH_URL: twin.url,
      ENGINE_POLL_MS: '100',
    },
    { compiled: true, limitMb: LIMIT_MB.connector },
  )
  try {
    const idleMb = connector.peakMb()
    connector.forgetPeak()
    feed.forgetPeak()
    const cpuBefore = [connector.cpuSeconds(), feed.cpuSeconds()] as const
    const audiences = database.as('audiences')
    const audience = await makeAudience(audiences, {
      tenantId: here.tenantId,
      behaviorId: behavior.id,
      accountExternalId: grant.accountExternalId,
      identifiers: ['email', 'phone', 'name', 'address'],
      destinationNo: await destinationNo(database.as('connector_meta'), 'meta'),
    })
    const runNo = await queueRun(audiences, audience)
    const row = await until('the export', EXPORT_MS, async () => {
      const [found] = await database.admin<{ seconds: number; failed: string | null }>(
        `SELECT extract(epoch FROM coalesce(accepted_at, finished_at) - started_at)::float8 AS seconds, CASE WHEN status IN ('failed', 'cancelled') THEN coalesce(error::text, status) END AS failed
         FROM sync.run WHERE no = $1 AND (accepted_at IS NOT NULL OR finished_at IS NOT NULL)`,
        [runNo],
      )
      return found
    })
    mustEqual('why the run failed', row.failed, null)
    const [held] = await until('the stand-in to apply it', 60_000, async () => {
      const { audiences: all } = await stateOf(twin.url)
      return all.every(({ pending }) => pending === 0) && all
    })
    mustEqual('people at the far side', held?.size, members)
    const micros = (process: Process, before: number) => ((process.cpuSeconds() - before) * 1e6) / members
    const cpu = { connector: micros(connector, cpuBefore[0]), feed: micros(feed, cpuBefore[1]) }
    return { cpu, idleMb, connectorMb: connector.peakMb(), feedMb: feed.peakMb(), seconds: row.seconds, copySeconds }
  } finally {
    await connector.stop()
    await feed.stop()
    await twin.stop()
    connections.server.close()
  }
}

/** `connections`, as far as a connector asks it: here is a token. */
async function playConnections(grant: Grant): Promise<{ server: Server; url: string }> {
  const server = createServer((_request, response) => response.setHeader('content-type', 'application/json').end(JSON.stringify(grant)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}
