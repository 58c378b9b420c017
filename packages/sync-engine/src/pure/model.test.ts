/**
 * The pure parts together, over a ledger and a far side in memory: people come, change, opt out and go; calls are accepted, refused,
 * turned away at the door, lost after they were done, or their worker dies before or after them; runs are cancelled between batches, the audience is paused
 * and resumed; several share a phone; the platform applies what it took in any order, and the settler forgets whoever is gone. In the end, with nothing in
 * the way, the far side is what is wanted, whoever opted out was never said after it, and nobody was added in a pause.
 * FULL=1 draws 100,000 histories.
 */
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type Outcome, type Person, setsOf, World } from '../../test/model-world.ts'

type Step =
  | { readonly change: number; readonly to: Person }
  | { readonly run: readonly Outcome[] }
  | { readonly apply: number }
  | { readonly sleep: number }
  | { readonly calm: number }
  | 'settle'
  | 'pause'
  | 'resume'

const person: fc.Arbitrary<Person> = fc.record({
  member: fc.boolean(),
  allowed: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  email: fc.integer({ min: 0, max: 2 }),
  phone: fc.integer({ min: 0, max: 2 }),
})
const outcome = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Outcome>('accepted') },
  { weight: 2, arbitrary: fc.constantFrom<Outcome>('refused', 'at the door', 'lost', 'dies before', 'dies after', 'cancelled') },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ change: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 2, max: 5 }) }), to: person }),
  },
  { weight: 3, arbitrary: fc.record({ run: fc.array(outcome, { maxLength: 4 }) }) },
  { weight: 4, arbitrary: fc.record({ apply: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ sleep: fc.nat(20) }) },
  { weight: 4, arbitrary: fc.record({ calm: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.constantFrom<Step>('settle', 'settle', 'settle', 'pause', 'resume', 'resume') },
)

const take = (world: World, one: Step): void => {
  if (one === 'settle') world.settle()
  else if (one === 'pause' || one === 'resume') world.paused = one === 'pause'
  else if ('run' in one) world.run(one.run)
  else if ('apply' in one) world.apply(one.apply)
  else if ('sleep' in one) world.sleep(one.sleep)
  else if ('calm' in one) {
    world.run([])
    for (let left = world.pending.length; left > 0; left -= 1) world.apply(one.calm)
    world.settle()
  } else world.change(one.change, one.to)
}

/** Days until every last word has been said for the last time: repetitions of repetitions end. */
const DAYS = 6

test('C1, C2, C3, C4, C10, C12, C16: whatever happens on the way, in whatever order the platform applies it, the far side ends as wanted', () => {
  const numRuns = process.env.FULL ? (Number(process.env.FULL) > 1 ? Number(process.env.FULL) : 100_000) : 2_000
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.nat(20), (steps, order) => {
      const world = new World()
      for (const one of steps) take(world, one)
      world.paused = false
      for (let day = 0; day < DAYS; day += 1) {
        // Twice: what a first run meets on its way is left to a second.
        world.run([])
        world.run([])
        world.sleep(order)
        world.settle()
      }
      const wanted = [...world.people].filter(([, { member, allowed }]) => member && allowed).flatMap(([no, of]) => setsOf(no, of))
      for (const row of wanted) expect(world.far).toContainEqual(row)
      // A row with fewer of the person's keys may stay: removing the person takes it along.
      const keys = new Set(wanted.flat())
      expect(world.far.filter((row) => row.some((value) => value !== '' && !keys.has(value)))).toEqual([])
      expect(world.saidWrongly).toEqual([])
      expect(world.addedWhilePaused).toBe(0)
      expect([...world.todo, ...world.again]).toEqual([])
      for (const [no] of world.ledger) expect(world.people.get(no)).toMatchObject({ member: true, allowed: true })
    }),
    { numRuns, verbose: 1 },
  )
}, 600_000)

/** Histories that are drawn once in many hundred thousand. */
const SOMEBODY: Person = { member: true, allowed: true, email: 1, phone: 0 }
const rest = (world: World) => {
  for (let day = 0; day < DAYS; day += 1) {
    world.run([])
    world.run([])
    world.sleep(0)
    world.settle()
  }
}

test('C4: of two additions the second is applied first, then the removal, then the first addition: the person is removed again', () => {
  const world = new World()
  world.change(1, SOMEBODY)
  world.run([])
  world.change(1, { ...SOMEBODY, phone: 1 })
  world.run([])
  world.apply(1)
  world.settle()
  world.change(1, { ...SOMEBODY, phone: 1, member: false })
  world.run([])
  world.apply(1)
  world.settle()
  rest(world)
  expect(world.far).toEqual([])
  expect([...world.again]).toEqual([])
})

test('C16: a removal that was sent twice is applied a second time after the person has come back: they are added again', () => {
  const world = new World()
  world.change(1, SOMEBODY)
  world.run([])
  world.apply(0)
  world.settle()
  world.change(1, { ...SOMEBODY, member: false })
  world.run(['lost'])
  world.run([])
  world.apply(0)
  world.settle()
  world.change(1, SOMEBODY)
  world.run([])
  world.apply(1)
  world.settle()
  rest(world)
  expect(world.far).toEqual(setsOf(1, SOMEBODY))
})

test('C16: an addition that was sent again a day later may land a day later, too: whoever leaves then is removed again', () => {
  const world = new World()
  world.change(1, SOMEBODY)
  world.run(['dies after'])
  world.sleep(0)
  world.run([])
  world.settle()
  world.change(1, { ...SOMEBODY, member: false })
  world.run([])
  world.apply(1)
  rest(world)
  expect(world.far).toEqual([])
})
