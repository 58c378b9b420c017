/** The short table of what was sent, accepted and applied, compared with what the far side holds: person by person. */
import type { Export, MainJob } from './demo.ts'
import { demoPerson } from './demo-people.ts'

interface Row {
  readonly name: string
  readonly figures: readonly (string | number)[]
  readonly agrees: boolean
}

const HEAD = ['audience', 'members', 'wanted', 'sent', 'accepted', 'applied', 'at Meta', 'calls', 'status', 'the same people']

/** Answers whether every figure agrees with the far side. */
export function report({ customers, exports }: MainJob, say: (line: string) => void): boolean {
  const rows = exports.map((one) => rowOf(one, customers))
  const cells = [HEAD, ...rows.map(({ name, figures, agrees }) => [name, ...figures.map(String), agrees ? 'yes' : 'NO'])]
  const widths = HEAD.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  say('')
  for (const row of cells) say(row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  '))
  say('')
  return rows.every(({ agrees }) => agrees)
}

function rowOf({ behavior, run, members }: Export, customers: number): Row {
  const people = Array.from({ length: customers }, (_, i) => i).filter((i) => behavior.member(i))
  const wanted = people.map(demoPerson).flatMap(({ expected }) => (expected ? [`${expected.EMAIL} ${expected.PHONE}`] : []))
  const there = members.map(({ EMAIL = '', PHONE = '' }) => `${EMAIL} ${PHONE}`)
  const counts = run.counts ?? {}
  const agrees =
    run.status === 'completed' &&
    sameSet(wanted, there) &&
    [counts.planned, counts.accepted, counts.applied].every((count) => count === wanted.length) &&
    counts.suppressed === people.length - wanted.length
  return {
    name: behavior.name,
    figures: [people.length, wanted.length, counts.planned, counts.accepted, counts.applied, there.length, run.apiCalls, run.status],
    agrees,
  }
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  const set = new Set(a)
  return set.size === a.length && a.length === b.length && b.every((value) => set.has(value))
}
