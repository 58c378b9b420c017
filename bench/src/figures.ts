/**
 * What a benchmark found out: the two sides, their spread, the ratio, and the goal it is held against. A figure never fails;
 * a wrong output does, by throwing before anything is timed.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** A goal of PERFORMANCE.md §6, by its number there. */
export interface Goal {
  readonly no: number
  readonly is: 'at least' | 'at most'
  readonly base: number
  readonly stretch: number
}

export interface Side {
  readonly what: string
  readonly unit: string
  readonly spread: Spread
}

export interface Figure {
  readonly sides: readonly Side[]
  /** What the ratio is of, with its value; missing where a figure stands for itself. */
  readonly ratio?: { readonly what: string; readonly value: number }
  /** Held against the ratio, or without one against the median of the first side. */
  readonly goal?: Goal
}

export interface Report {
  readonly name: string
  readonly title: string
  /** Rows, rounds, settings: what somebody needs to compare with another day. */
  readonly conditions: Readonly<Record<string, string | number>>
  readonly figures: readonly Figure[]
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const median = sorted.length % 2 === 1 ? (sorted[Math.floor(middle)] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
  return { median, min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0 }
}

const mapSpread = ({ median, min, max }: Spread, fn: (value: number) => number): Spread => {
  const [a, b] = [fn(min), fn(max)]
  return { median: fn(median), min: Math.min(a, b), max: Math.max(a, b) }
}

/** `rows` done in the spread of milliseconds, as thousands a second. */
export const perSecond = (what: string, rows: number, ms: Spread, unit = 'k/s'): Side => ({ what, unit, spread: mapSpread(ms, (value) => rows / value) })
export const milliseconds = (what: string, spread: Spread): Side => ({ what, unit: 'ms', spread })
/** One value without a spread. */
export const single = (what: string, unit: string, value: number): Side => ({ what, unit, spread: { median: value, min: value, max: value } })

export const reaches = (value: number, { is }: Goal, bar: number): boolean => (is === 'at least' ? value >= bar : value <= bar)

const heldAgainst = ({ ratio, sides }: Figure): number => ratio?.value ?? sides[0]?.spread.median ?? Number.NaN

export function verdictOf(figure: Figure): 'stretch met' | 'base met' | 'not met' | undefined {
  const { goal } = figure
  if (!goal) return undefined
  const value = heldAgainst(figure)
  if (reaches(value, goal, goal.stretch)) return 'stretch met'
  return reaches(value, goal, goal.base) ? 'base met' : 'not met'
}

const shown = (value: number): string => {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 3
  return value.toLocaleString('en-US', { maximumFractionDigits: digits })
}

function lineOf({ what, unit, spread }: Side): string {
  const range = spread.min === spread.max ? '' : `  [${shown(spread.min)} .. ${shown(spread.max)}]`
  return `  ${what.padEnd(58)} ${shown(spread.median).padStart(9)} ${unit}${range}`
}

export function print(report: Report): string {
  const conditions = Object.entries({ ...machine(), ...report.conditions }).map(([name, value]) => `${name} ${value}`)
  const lines = [`\n${report.name}: ${report.title}`, `  ${conditions.join(' · ')}`]
  for (const figure of report.figures) {
    lines.push(...figure.sides.map(lineOf))
    const { ratio, goal } = figure
    const parts = ratio ? [`${ratio.what} ${shown(ratio.value)}`] : []
    if (goal) parts.push(`goal ${goal.no}: ${goal.is} ${goal.base}, stretch ${goal.stretch}`, verdictOf(figure) ?? '')
    if (parts.length > 0) lines.push(`  → ${parts.join(' · ')}`)
  }
  return `${lines.join('\n')}\n`
}

/** What a figure depends on without being chosen. */
const machine = () => ({
  node: process.versions.node,
  cores: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`,
  'load before': shown(loadAtStart),
})
const loadAtStart = loadavg()[0] ?? 0

const results = fileURLToPath(new URL('../../.data/bench/', import.meta.url))

/** Where results and scratch databases are; not part of the repository. */
export const scratch = (name: string): string => join(results, name)

export function save(report: Report): string {
  mkdirSync(results, { recursive: true })
  const file = scratch(`${report.name}.json`)
  const figures = report.figures.map((figure) => ({ ...figure, verdict: verdictOf(figure) }))
  writeFileSync(file, `${JSON.stringify({ ...report, at: new Date().toISOString(), machine: machine(), figures }, null, 2)}\n`)
  return file
}
