/** Similar audiences in a test: wished for and given up as `audiences` does, looked at there and here. */
import type { LookalikeSpec } from '@audience-sync/destination-kit/lookalike-contract'
import { expect } from '@jest/globals'
import { giveUpLookalike, type LookalikeRow, type lookalikesOf, wishLookalike } from '../src/store/lookalikes.ts'
import { readAudience } from '../src/store/rows.ts'
import { makeWorld, type World, type WorldOptions } from './world.ts'

const US: LookalikeSpec = {
  type: 'similarity',
  ratio: null,
  startingRatio: null,
  countries: ['US'],
  countryGroups: [],
  excludedCountries: [],
  allowInternationalSeeds: false,
}
export const PEOPLE = 150
export const CREATE = '/customaudiences'
/** The twin builds one within a second or so. */
export const MADE = expect.stringMatching(/^(creating|active)$/)

export let world: World
export const start = async (options: WorldOptions = {}, members = PEOPLE) => {
  // Looks are far apart: a test makes them due.
  world = await makeWorld({ ...options, options: { settleMs: 60_000, ...options.options } })
  for (let no = 1; no <= members; no += 1) world.behavior.join(no)
}

/** As `audiences` does. */
export const asTenant = <T>(work: (tx: Parameters<typeof lookalikesOf>[0], seed: Awaited<ReturnType<typeof readAudience>>) => Promise<T>) =>
  world.database.as('audiences').tenant(world.tenantId, async (tx) => work(tx, await readAudience(tx, world.audienceNo)))
export const wish = async (spec: Partial<LookalikeSpec> = {}, name = 'Like them'): Promise<LookalikeRow> => {
  const row = await asTenant((tx, seed) => wishLookalike(tx, seed, name, { ...US, ...spec }))
  if (!row) throw new Error('There is one like it.')
  return row
}
export const giveUp = (row: LookalikeRow) => asTenant((tx, seed) => giveUpLookalike(tx, seed, row))
export const read = async (row: LookalikeRow) => {
  const [now] = await world.database.admin('SELECT * FROM sync.lookalike WHERE no = $1', [row.no])
  return now as Record<string, unknown> & { status_reason: { code: string; detail?: string } | null }
}
const due = () => world.database.admin('UPDATE sync.lookalike SET due_at = now() WHERE deleted_at IS NULL')
/** Its next look, now. */
export const look = async () => {
  await due()
  await world.work()
}
export const creates = () => world.twin.journal().filter(({ method, body }) => method === 'POST' && JSON.stringify(body).includes('LOOKALIKE'))
export const farIds = () =>
  world.twin
    .state()
    .audiences.filter(({ deleted }: { deleted: boolean }) => !deleted)
    .map(({ id }: { id: string }) => id)
export const change = (id: unknown, changes: object) =>
  fetch(`${world.twin.url}/_twin/audiences/${id}`, { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: JSON.stringify(changes) })
