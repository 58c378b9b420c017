/** What can be said after `npm start --`. */
import { parseArgs } from 'node:util'

export interface Options {
  /** Do the job, print, stop: exit code 0, or 1 when something did not agree. */
  readonly once: boolean
  /** Seed a demo tenant and do the main job. */
  readonly demo: boolean
  /** Empty the data folder first. */
  readonly fresh: boolean
  readonly bus: 'kafka' | 'embedded' | undefined
  readonly customers: number
}

const LEAST_CUSTOMERS = 1_200 // with fewer the smallest behavior would be below Meta's minimum, and wait

export const USAGE = `npm start -- [--once] [--no-demo] [--fresh] [--bus kafka|embedded] [--customers N]
  --once         do the main job, print, stop
  --no-demo      start empty
  --fresh        empty the data folder first: everything that was kept is gone
  --bus          the event transport; without it Kafka where it can be had, else embedded
  --customers N  size of the demo data, 1200 to 1000000 (20000)
In the environment: PORT (8080), DATABASE_URL and KAFKA_BROKERS take the place of the embedded parts,
ADMIN_API_KEY is the demo tenant's key, AUDIENCE_SYNC_DATA the data folder (.data).`

export class UsageError extends Error {}

export function readOptions(args: readonly string[]): Options {
  try {
    const { values } = parseArgs({
      args: [...args],
      allowNegative: true,
      options: {
        once: { type: 'boolean', default: false },
        demo: { type: 'boolean', default: true },
        fresh: { type: 'boolean', default: false },
        bus: { type: 'string' },
        customers: { type: 'string', default: '20000' },
        help: { type: 'boolean', default: false },
      },
    })
    const { once, demo, fresh, bus, help } = values
    const customers = Number(values.customers)
    if (help) throw new UsageError('')
    if (bus !== undefined && bus !== 'kafka' && bus !== 'embedded') throw new UsageError(`--bus is ${bus}: it can be kafka or embedded.`)
    if (!Number.isInteger(customers) || customers < LEAST_CUSTOMERS || customers > 1_000_000)
      throw new UsageError(`--customers is ${values.customers}: it has to be a number from ${LEAST_CUSTOMERS} to 1000000.`)
    return { once, demo, fresh, bus, customers }
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError((error as Error).message)
  }
}
