/** Two sides timed in turn, so that whatever else the machine does hits both; who begins changes with each round. */
import { type Spread, spreadOf } from './figures.ts'

export type Profile = 'quick' | 'full'

/** Runs each side `rounds` times after a warm-up, in turn; answers milliseconds a round. */
export async function inTurn<S extends string>(rounds: number, sides: Record<S, (round: number) => unknown>, warmUps = 1): Promise<Record<S, Spread>> {
  const names = Object.keys(sides) as S[]
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<S, number[]>
  for (let round = -warmUps; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const started = performance.now()
      await sides[name](round)
      const ms = performance.now() - started
      if (round >= 0) times[name].push(ms)
    }
  }
  return Object.fromEntries(names.map((name) => [name, spreadOf(times[name])])) as Record<S, Spread>
}

/** Fails the benchmark: an output is not what it has to be. */
export function mustEqual(what: string, actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (a !== b) throw new Error(`${what}: ${cut(a)} is not ${cut(b)}`)
}

const cut = (text: string | undefined) => (text && text.length > 300 ? `${text.slice(0, 300)}…` : text)
