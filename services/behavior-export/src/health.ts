/** What stands in the way of a behavior, in figures: one pass over its members, of what ingest noted. */
import { groupBit, type IdentifierGroup, identifierChoices, identifierGroups, purposeBit, purposes } from '@audience-sync/contracts/people'
import type { BehaviorHealth } from '@audience-sync/contracts/rest/behaviors'
import { groupOfField } from '@audience-sync/contracts/transformations'
import type { Tx } from '@audience-sync/db/database'

/** Of each thing that ingest notes as unusable: a field of the identifiers, or the person's value. */
const groupOf: Readonly<Record<string, IdentifierGroup>> = { ...groupOfField, value: 'value' }

const MATCHABLE = identifierChoices.reduce((bits, choice) => bits | groupBit(choice), 0)
const ADS = purposeBit('ads')

const figure = (name: string, condition: string) => `count(*) FILTER (WHERE ${condition})::int AS "${name}"`
const has = (column: string, bits: number) => `c.${column} & ${bits} <> 0`

const FIGURES = [
  'count(*)::int AS members',
  figure('unknown', 'c.occurred_at IS NULL'),
  figure('unmatchable', `NOT ${has('groups', MATCHABLE)}`),
  // Opted out of sale and sharing, and nothing else in the way.
  figure('opted_out', `NOT ${has('purposes', ADS)} AND ${has('purposes', purposeBit('ads_ldu'))}`),
  ...purposes.map((purpose) => figure(`may ${purpose}`, has('purposes', purposeBit(purpose)))),
  ...identifierGroups.flatMap((group) => [
    figure(`present ${group}`, has('present', groupBit(group))),
    figure(`usable ${group}`, has('groups', groupBit(group))),
  ]),
].join(', ')

export async function readHealth(tx: Tx, behaviorNo: number): Promise<BehaviorHealth> {
  const members = 'FROM membership m JOIN customer c ON c.no = m.customer_no WHERE m.behavior_no = $1 AND m.member'
  const { rows } = await tx.query<Record<string, number>>(`SELECT ${FIGURES} ${members}`, [behaviorNo])
  const { rows: unusable } = await tx.query<{ field: string; code: string; count: number }>(
    `SELECT u->>'field' AS field, u->>'code' AS code, count(*)::int AS count FROM (SELECT c.unusable ${members} AND c.unusable IS NOT NULL) AS c, jsonb_array_elements(c.unusable) AS u GROUP BY 1, 2`,
    [behaviorNo],
  )
  const figures = rows[0] ?? {}
  const of = (name: string) => figures[name] ?? 0
  const codesOf = (group: IdentifierGroup) => {
    const codes: Record<string, number> = {}
    for (const { field, code, count } of unusable) if (groupOf[field] === group) codes[code] = (codes[code] ?? 0) + count
    return codes
  }
  const record = <K extends string, V>(keys: readonly K[], value: (key: K) => V) => Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<K, V>
  return {
    members: of('members'),
    unknown: of('unknown'),
    unmatchable: of('unmatchable'),
    sendable: record(purposes, (purpose) => of(`may ${purpose}`)),
    suppressed: { consent_denied: of('members') - of('may ads') - of('opted_out'), opted_out: of('opted_out') },
    identifiers: record(identifierGroups, (group) => ({ present: of(`present ${group}`), usable: of(`usable ${group}`), unusable: codesOf(group) })),
  }
}
