/**
 * The pure parts together, over a ledger and a far side in memory: people come, change, opt out and go; calls are accepted, refused,
 * lost after they were done, or their worker dies before or after them; runs are cancelled between batches; the platform applies
 * late, and the settler forgets whoever is gone. In the end, with nothing in the way, the far side is what is wanted, and whoever
 * opted out was never said after it. FULL=1 draws 100,000 histories.
 */
import type { FeedRow } from '@audience-sync/contracts/internal/feed'
import { groupBit, purposeBit } from '@audience-sync/contracts/people'
import type { KeyDefinition, KeySet, Operation } from '@audience-sync/destination-kit/contract'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { choiceOf, decide, fingerprintOf, type Known } from './diff.ts'
import { type HeldSet, planRemoval, planReplacement, settleHeld } from './held.ts'
import { type Packed, Packer, type Part } from './packer.ts'

const KEYS: readonly KeyDefinition[] = [
  { name: 'EMAIL', form: 'text', matchesAlone: true },
  { name: 'PHONE', form: 'text', matchesAlone: true },
]
const LIMIT = 2
const PAGE = 2
const EMAIL = groupBit('email')
const choice = choiceOf(['email'], 'ads', { value: false, consent: false })
const versions = { configVersion: 1, normaliser: 1 }

interface Person {
  readonly member: boolean
  readonly allowed: boolean
  readonly email: number
  readonly phone: number
}
type Outcome = 'accepted' | 'refused' | 'lost' | 'dies before' | 'dies after' | 'cancelled'
type Step = { readonly change: number; readonly to: Person } | { readonly run: readonly Outcome[] } | 'settle'

interface Entry {
  fingerprint: number
  addBatch: number
  removeBatch: number
  held: readonly HeldSet[]
}
interface Batch {
  readonly no: number
  readonly operation: Operation
  readonly people: readonly Part[]
  state: 'open' | 'accepted' | 'applied' | 'failed'
  sent: boolean
}
class Died extends Error {}
class Stopped extends Error {}

const setsOf = (no: number, { email, phone }: Person): KeySet[] => [[`e${no}-${email}`, phone === 0 ? '' : `p${no}-${phone}`]]
const shares = (row: KeySet, removal: KeySet) => row.some((value, i) => value !== '' && value === removal[i])

/** What the store and the workers do, without a database. */
class World {
  readonly people = new Map<number, Person>()
  readonly log: number[] = []
  far: KeySet[] = []
  readonly ledger = new Map<number, Entry>()
  readonly batches: Batch[] = []
  /** Whom a run left to do: its number, or 0 where any may do them. */
  readonly todo = new Map<number, number>()
  runNo = 0
  cursor = 0
  saidWrongly: number[] = []

  change(no: number, to: Person): void {
    this.people.set(no, to)
    this.log.push(no)
  }

  row(no: number): FeedRow {
    const person = this.people.get(no)
    const pieces = Buffer.alloc(8)
    pieces.writeUInt32LE((person?.email ?? 0) * 10 + (person?.phone ?? 0), 0)
    return [no, person?.member ? 1 : 0, person?.allowed ? purposeBit('ads') : 0, EMAIL, pieces.toString('base64')]
  }

  known(no: number): Known | undefined {
    const entry = this.ledger.get(no)
    if (!entry) return undefined
    const stateOf = (batch: number) => this.batches[batch - 1]?.state ?? 'failed'
    const last = entry.removeBatch > entry.addBatch ? 'remove' : 'add'
    const states = [entry.addBatch, entry.removeBatch].filter((batch) => batch > 0).map(stateOf)
    const speaking = stateOf(Math.max(entry.addBatch, entry.removeBatch))
    return { ...versions, fingerprint: entry.fingerprint, last, state: states.includes('open') ? 'open' : speaking === 'failed' ? 'failed' : 'done' }
  }

  held(no: number): HeldSet[] {
    const entry = this.ledger.get(no)
    if (!entry) return []
    const state = this.batches[entry.removeBatch - 1]?.state
    return settleHeld(
      entry.held,
      this.todo.has(no) ? 'not_done' : state === 'applied' ? 'applied' : state === 'accepted' || state === 'open' ? 'open' : 'not_done',
    )
  }

  partsOf(no: number, page: number): Part[] {
    const person = this.people.get(no)
    const held = this.held(no)
    const shared = { customerNo: no, page, suppressionsAt: '0:0' }
    if (!person?.member || !person.allowed) {
      const { remove, heldAfter } = planRemoval(held)
      return remove.length === 0 ? [] : [{ ...shared, operation: 'remove', kind: 'removed', sets: remove, heldAfter, fingerprint: null, afterRemoval: false }]
    }
    const [, , , groups, pieces] = this.row(no)
    const sets = setsOf(no, person)
    const { remove, heldAfterRemove, heldAfterAdd } = planReplacement(KEYS, held, sets)
    const half: Part[] =
      remove.length === 0
        ? []
        : [{ ...shared, operation: 'remove', kind: 'none', sets: remove, heldAfter: heldAfterRemove, fingerprint: null, afterRemoval: false }]
    const fingerprint = fingerprintOf(groups, pieces, choice.watched)
    return [...half, { ...shared, operation: 'add', kind: 'added', sets, heldAfter: heldAfterAdd, fingerprint, afterRemoval: remove.length > 0 }]
  }

  store({ operation, parts }: Packed, cursor: () => number): Batch {
    const batch: Batch = { no: this.batches.length + 1, operation, people: parts, state: 'open', sent: false }
    this.batches.push(batch)
    for (const { customerNo, heldAfter, fingerprint, kind } of parts) {
      const entry = this.ledger.get(customerNo) ?? { fingerprint: 0, addBatch: 0, removeBatch: 0, held: [] }
      this.ledger.set(customerNo, {
        held: heldAfter,
        fingerprint: fingerprint ?? entry.fingerprint,
        addBatch: operation === 'add' ? batch.no : entry.addBatch,
        removeBatch: operation === 'remove' ? batch.no : entry.removeBatch,
      })
      if (kind === 'none') this.todo.set(customerNo, 0)
      else this.done(customerNo)
    }
    this.cursor = cursor()
    return batch
  }

  send(batch: Batch, outcome: Outcome): void {
    if (outcome === 'dies before') throw new Died()
    batch.sent = true
    if (outcome === 'refused') {
      batch.state = 'failed'
      for (const { customerNo } of batch.people) this.todo.set(customerNo, this.runNo)
      return
    }
    for (const { sets, operation, customerNo } of batch.people) {
      if (operation === 'remove') this.far = this.far.filter((row) => !sets.some((removal) => shares(row, removal)))
      else {
        this.far = [...this.far.filter((row) => !sets.some((set) => set.join() === row.join())), ...sets]
        if (this.people.get(customerNo)?.allowed === false) this.saidWrongly.push(customerNo)
      }
    }
    if (outcome === 'lost' || outcome === 'dies after') throw new Died()
    batch.state = 'accepted'
  }

  /** What an earlier worker left: resent when it may have been sent, else its people are left to do. */
  resolve(next: () => Outcome): void {
    for (const batch of this.batches) {
      if (batch.state !== 'open') continue
      const withdrawn = batch.operation === 'add' && batch.people.some(({ customerNo }) => !this.people.get(customerNo)?.allowed)
      if (batch.sent && !withdrawn) this.send(batch, next())
      else {
        batch.state = 'failed'
        for (const { customerNo } of batch.people) this.todo.set(customerNo, 0)
      }
    }
  }

  /** Whoever this run was refused stays for the next. */
  done(no: number): void {
    if (this.todo.get(no) !== this.runNo) this.todo.delete(no)
  }

  run(outcomes: readonly Outcome[]): void {
    this.runNo += 1
    const left = [...outcomes]
    const next = () => left.shift() ?? 'accepted'
    try {
      this.resolve(next)
      this.act(next)
    } catch (error) {
      if (!(error instanceof Died || error instanceof Stopped)) throw error
    }
  }

  act(next: () => Outcome): void {
    const packer = new Packer(LIMIT, ([email = ''] = []) => (email.endsWith('0') ? 'x' : ''))
    const from = this.cursor
    const changed = this.log.slice(from)
    const pages: { readonly customers: readonly number[]; readonly next: number }[] = []
    for (let at = 0; at < changed.length; at += PAGE) pages.push({ customers: changed.slice(at, at + PAGE), next: from + Math.min(at + PAGE, changed.length) })
    pages.push({ customers: [...this.todo].filter(([, run]) => run !== this.runNo).map(([no]) => no), next: from + changed.length })
    const said = new Set<number>()
    const cursor = (reading: number) => () => {
      const open = Math.min(packer.oldestPage ?? pages.length, reading)
      return open === 0 ? from : (pages[open - 1]?.next ?? from)
    }
    const say = (packed: Packed, reading: number) => {
      const outcome = next()
      if (outcome === 'cancelled') throw new Stopped()
      const batch = this.store(packed, cursor(reading))
      this.send(batch, outcome)
    }
    pages.forEach(({ customers }, index) => {
      for (const no of new Set(customers)) {
        if (packer.has(no) || said.has(no)) continue
        const forced = this.todo.has(no)
        const { kind } = decide(this.row(no), this.known(no), forced, choice, versions)
        if (kind === 'wait') this.todo.set(no, this.runNo)
        if (kind === 'nothing' || kind === 'unchanged' || kind === 'suppressed') this.done(no)
        if (kind !== 'add' && kind !== 'replace' && kind !== 'remove') continue
        const parts = this.partsOf(no, index)
        if (parts.length === 0) this.done(no)
        said.add(no)
        for (const packed of packer.add(parts)) say(packed, index)
      }
    })
    for (const packed of packer.flush()) say(packed, pages.length)
    this.cursor = this.log.length
  }

  settle(): void {
    for (const batch of this.batches) if (batch.state === 'accepted') batch.state = 'applied'
    for (const [no, { addBatch, removeBatch }] of this.ledger)
      if (removeBatch > addBatch && this.batches[removeBatch - 1]?.state === 'applied' && !this.todo.has(no)) this.ledger.delete(no)
  }
}

const person: fc.Arbitrary<Person> = fc.record({
  member: fc.boolean(),
  allowed: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  email: fc.integer({ min: 0, max: 2 }),
  phone: fc.integer({ min: 0, max: 1 }),
})
const outcome = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Outcome>('accepted') },
  { weight: 2, arbitrary: fc.constantFrom<Outcome>('refused', 'lost', 'dies before', 'dies after', 'cancelled') },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ change: fc.integer({ min: 1, max: 6 }), to: person }) },
  { weight: 3, arbitrary: fc.record({ run: fc.array(outcome, { maxLength: 6 }) }) },
  { weight: 1, arbitrary: fc.constant<Step>('settle') },
)

test('C1, C3, C10, C12: whatever happens on the way, the far side ends as wanted and nobody is said after an opt-out', () => {
  const numRuns = process.env.FULL ? 100_000 : 2_000
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const world = new World()
      for (const one of steps) {
        if (one === 'settle') world.settle()
        else if ('run' in one) world.run(one.run)
        else world.change(one.change, one.to)
      }
      // Twice: what a first run meets on its way is left to a second.
      world.run([])
      world.run([])
      const wanted = [...world.people].filter(([, { member, allowed }]) => member && allowed).flatMap(([no, of]) => setsOf(no, of))
      for (const row of wanted) expect(world.far).toContainEqual(row)
      // A row with fewer of the person's keys may stay: removing the person takes it along.
      const keys = new Set(wanted.flat())
      expect(world.far.filter((row) => row.some((value) => value !== '' && !keys.has(value)))).toEqual([])
      expect(world.saidWrongly).toEqual([])
      expect([...world.todo]).toEqual([])
      world.settle()
      for (const [no] of world.ledger) expect(world.people.get(no)).toMatchObject({ member: true, allowed: true })
    }),
    { numRuns, verbose: 1 },
  )
}, 600_000)
