/**
 * `npm start`: the whole system on this machine, the main job done once, and then it stays up. See `scripts/start/`:
 * `options` (what can be said) · `data-folder` (what survives) · `ports` · `system` (the parts, in order) · `demo` (the main job, through
 * the public API alone) · `demo-people` (who is in it) · `report` (the table, compared with the far side).
 */
import { AlreadyRunning, type DataFolder, openDataFolder } from './start/data-folder.ts'
import { doMainJob } from './start/demo.ts'
import { readOptions, USAGE, UsageError } from './start/options.ts'
import { PortTaken } from './start/ports.ts'
import { report } from './start/report.ts'
import { type System, startSystem } from './start/system.ts'

const LEAST_NODE = 24
const say = (line: string) => console.log(line)

async function main(): Promise<number> {
  const major = Number(process.versions.node.split('.')[0])
  if (major < LEAST_NODE)
    throw new UsageError(`This is Node ${process.versions.node}; on this platform Node ${LEAST_NODE} or newer has to be installed by hand.`)
  const options = readOptions(process.argv.slice(2))
  const data = await openDataFolder(process.env.AUDIENCE_SYNC_DATA ?? '.data', options.fresh)
  const asked = untilAskedToStop()
  try {
    return await run(options, data, asked)
  } finally {
    data.release()
  }
}

async function run(options: ReturnType<typeof readOptions>, data: DataFolder, asked: Promise<void>): Promise<number> {
  if (data.made) say(`keys were made in ${data.path}: whoever loses them loses the data`)
  const system: System = await startSystem(data, { bus: options.bus, port: Number(process.env.PORT ?? 8080), say })
  try {
    say(`events: ${system.bus}`)
    let good = true
    if (options.demo) {
      const job = doMainJob(system, options.customers, say)
      const done = await Promise.race([job, asked])
      if (!done) return 130
      good = report(done, say)
    }
    if (options.once) return good ? 0 : 1
    say(`docs    ${system.url}/docs`)
    say(`ready ${system.url} key=${system.adminKey}`)
    await asked
    return 0
  } finally {
    await system.stop()
  }
}

function untilAskedToStop(): Promise<void> {
  return new Promise((resolve) => {
    let times = 0
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        times += 1
        if (times > 2) process.exit(130) // somebody insists
        resolve()
      })
    }
  })
}

try {
  process.exit(await main())
} catch (error) {
  if (error instanceof UsageError) {
    console.error(`${error.message ? `${error.message}\n` : ''}${USAGE}`)
    process.exit(2)
  }
  console.error(error instanceof AlreadyRunning || error instanceof PortTaken ? error.message : error)
  process.exit(1)
}
