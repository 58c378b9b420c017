/** What happens in one run of chaos, drawn from a seed: who changes in each round, and who is killed when. The same seed draws the same plan. */

import type { ServiceName } from '@audience-sync/testing/conductor-plans'
import { seeded } from '@audience-sync/testing/random'
import { type Person, person } from '../e2e/people.ts'

export interface ChaosOptions {
  readonly seed: number
  /** Members in the beginning. */
  readonly members: number
  readonly kills: number
}

export const profiles = {
  quick: { members: 5_000, kills: 4 },
  full: { members: 50_000, kills: 10 },
} as const

export interface Kill {
  readonly victim: ServiceName
  readonly round: number
  /** While changes are told to us, or while they are told to the platform. */
  readonly phase: 'ingest' | 'sync'
  /** After the phase began. */
  readonly delayMs: number
}

export interface Round {
  readonly changed: readonly Person[]
  readonly joining: readonly Person[]
  readonly leaving: readonly Person[]
}

export interface Plan {
  readonly rounds: readonly Round[]
  readonly kills: readonly Kill[]
  /** Who is wanted at the platform in the end. */
  readonly desired: readonly Person[]
}

const VICTIMS: readonly ServiceName[] = ['connector-meta', 'audiences', 'behavior-export', 'relay']
const ROUNDS = 3
const SHARE = 0.1 // of the members: so many leave, join, and change their address in each later round
/** How long the phases take, per person that changes: moments are drawn from that time. */
const INGEST_MS = 0.1
const SYNC_MS = 0.2

export function planOf({ seed, members, kills }: ChaosOptions): Plan {
  const random = seeded(seed)
  const there = new Map<number, Person>()
  const first = Array.from({ length: members }, (_, i) => person(i))
  first.forEach((one, i) => {
    there.set(i, one)
  })
  const rounds: Round[] = [{ changed: first, joining: first, leaving: [] }]
  let next = members
  for (let round = 1; round < ROUNDS; round += 1) {
    const some = Math.floor(members * SHARE)
    const drawn = draw(random, [...there.keys()], 2 * some)
    const leaving = drawn.slice(0, some).map((i) => [i, there.get(i) ?? person(i)] as const)
    const moving = drawn.slice(some).map((i) => [i, person(i, round)] as const)
    const joining = Array.from({ length: some }, () => {
      next += 1
      return [next, person(next)] as const
    })
    for (const [i] of leaving) there.delete(i)
    for (const [i, one] of [...moving, ...joining]) there.set(i, one)
    const of = (pairs: readonly (readonly [number, Person])[]) => pairs.map(([, one]) => one)
    rounds.push({ changed: [...of(moving), ...of(joining)], joining: of(joining), leaving: of(leaving) })
  }
  return { rounds, kills: killsOf(random, kills, rounds), desired: [...there.values()] }
}

/** Every victim as often as the others, one more or less; two thirds of the moments while the platform is told. */
function killsOf(random: () => number, count: number, rounds: readonly Round[]): Kill[] {
  const victims = Array.from({ length: count }, (_, i) => VICTIMS[i % VICTIMS.length] as ServiceName)
  return draw(random, victims, count).map((victim, i) => {
    const phase = random() < 2 / 3 ? 'sync' : 'ingest'
    const round = i % ROUNDS
    const people = (rounds[round]?.changed.length ?? 0) + (rounds[round]?.leaving.length ?? 0)
    return { victim, round, phase, delayMs: Math.round(random() * people * (phase === 'sync' ? SYNC_MS : INGEST_MS)) }
  })
}

/** `count` of them in a random order. */
function draw<T>(random: () => number, from: readonly T[], count: number): T[] {
  const all = [...from]
  for (let i = 0; i < Math.min(count, all.length); i += 1) {
    const other = i + Math.floor(random() * (all.length - i))
    const here = all[i] as T
    all[i] = all[other] as T
    all[other] = here
  }
  return all.slice(0, count)
}
