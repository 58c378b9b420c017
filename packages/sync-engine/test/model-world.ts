/**
 * What the store and the workers do, without a database, and a platform that is as unkind as the facts allow: it takes calls,
 * applies them one by one in any order, and forgets nothing that it took. The pure parts are the real ones.
 */
import type { FeedRow } from '@audience-sync/contracts/internal/feed'
import { groupBit, purposeBit } from '@audience-sync/contracts/people'
import type { KeySet, Operation } from '@audience-sync/destination-kit/contract'
import type { KeyDefinition } from '@audience-sync/destination-kit/manifest-contract'
import { choiceOf, decide, fingerprintOf, type Known } from '../src/pure/diff.ts'
import { type HeldSet, planRemoval, planReplacement, settleHeld } from '../src/pure/held.ts'
import { type Packed, Packer, type Part } from '../src/pure/packer.ts'

const KEYS: readonly KeyDefinition[] = [
  { name: 'EMAIL', form: 'text', matchesAlone: true },
  { name: 'PHONE', form: 'text', matchesAlone: true },
]
const LIMIT = 2
const PAGE = 2
const EMAIL = groupBit('email')
const choice = choiceOf(['email'], 'ads', { value: false, consent: false })
const versions = { configVersion: 1, normaliser: 1 }

export interface Person {
  readonly member: boolean
  readonly allowed: boolean
  readonly email: number
  readonly phone: number
}
/** at the door: refused before it was looked at, as by a used up quota; surely not taken, this time. */
export type Outcome = 'accepted' | 'refused' | 'at the door' | 'lost' | 'dies before' | 'dies after' | 'cancelled'
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
  /** Times that it left us. */
  sendings: number
  /** The platform has applied one of its sendings, at least. */
  effect: boolean
  /** Said before, and said again (C4): nothing waits for its effect. */
  readonly repeat: boolean
  /** For the last time. */
  sentOn: number
  acceptedOn: number
}
/** Taken by the platform, and to be applied whenever it likes. */
interface Pending {
  readonly batch: Batch
  readonly people: readonly Part[]
}
class Died extends Error {}
class Stopped extends Error {}

export const setsOf = (no: number, { email, phone }: Person): KeySet[] => [[`e${no}-${email}`, phoneOf(no, phone)]]
/** Several people may have this one. */
const SHARED = 2
const phoneOf = (no: number, phone: number) => (phone === 0 ? '' : phone === SHARED ? 'shared' : `p${no}-${phone}`)
const shares = (row: KeySet, removal: KeySet) => row.some((value, i) => value !== '' && value === removal[i])

export class World {
  readonly people = new Map<number, Person>()
  readonly log: number[] = []
  far: KeySet[] = []
  pending: Pending[] = []
  /** Days since the beginning: the platform finishes within one what it took. */
  today = 0
  paused = false
  addedWhilePaused = 0
  readonly ledger = new Map<number, Entry>()
  readonly batches: Batch[] = []
  /** Whom a run left to do: its number, or 0 where any may do them. */
  readonly todo = new Map<number, number>()
  /** Who was ever added by an identifier (C2). */
  readonly tags = new Map<string, Set<number>>()
  /** Whose last word is to be said again: how often, not before which day, and when no call up to this one is open. Never due: of whom an earlier addition may still land. */
  readonly again = new Map<number, { times: number; due: number; after: number; both: boolean }>()
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
      this.todo.has(no)
        ? 'not_done'
        : state === 'applied'
          ? this.again.has(no)
            ? 'open'
            : 'applied'
          : state === 'accepted' || state === 'open'
            ? 'open'
            : 'not_done',
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
        : [{ ...shared, operation: 'remove', kind: 'none', sets: remove, heldAfter: heldAfterRemove, fingerprint: null, half: true, afterRemoval: false }]
    const fingerprint = fingerprintOf(groups, pieces, choice.watched)
    const kind = held.some(({ removing }) => !removing) ? 'replaced' : 'added'
    return [...half, { ...shared, operation: 'add', kind, sets, heldAfter: heldAfterAdd, fingerprint, afterRemoval: remove.length > 0 }]
  }

  store({ operation, parts }: Packed, cursor: () => number, repeat = false): Batch {
    const batch: Batch = { no: this.batches.length + 1, operation, people: parts, state: 'open', sendings: 0, effect: false, repeat, sentOn: 0, acceptedOn: 0 }
    this.batches.push(batch)
    for (const { customerNo, heldAfter, fingerprint, kind, half, afterRemoval, sets } of parts) {
      if (operation === 'add') this.rememberEarlier(customerNo, sets)
      const entry = this.ledger.get(customerNo) ?? { fingerprint: 0, addBatch: 0, removeBatch: 0, held: [] }
      this.ledger.set(customerNo, {
        held: heldAfter,
        fingerprint: fingerprint ?? entry.fingerprint,
        addBatch: operation === 'add' ? batch.no : entry.addBatch,
        removeBatch: operation === 'remove' ? batch.no : entry.removeBatch,
      })
      if (half) this.todo.set(customerNo, 0)
      else if (kind !== 'none' || afterRemoval) this.done(customerNo)
    }
    this.cursor = cursor()
    return batch
  }

  send(batch: Batch, outcome: Outcome): void {
    if (outcome === 'dies before') throw new Died()
    if (outcome === 'at the door') throw new Stopped()
    batch.sendings += 1
    batch.sentOn = this.today
    if (outcome === 'refused') {
      batch.state = 'failed'
      for (const { customerNo } of batch.people) this.todo.set(customerNo, this.runNo)
      return
    }
    this.pending.push({ batch, people: batch.people })
    if (batch.operation === 'add') {
      // What may have been sent before the pause is sent again (C15).
      if (this.paused && batch.sendings === 1) this.addedWhilePaused += 1
      for (const { customerNo } of batch.people) if (this.people.get(customerNo)?.allowed === false) this.saidWrongly.push(customerNo)
    }
    if (outcome === 'lost' || outcome === 'dies after') throw new Died()
    batch.state = batch.repeat ? 'applied' : 'accepted'
    batch.acceptedOn = this.today
    for (const { customerNo } of batch.people) this.accepted(batch, customerNo)
    for (const { customerNo, sets } of batch.people) this.acceptedOfSharers(batch, customerNo, sets.flat().filter(Boolean))
  }

  /** store/say-again.ts, in memory. */
  accepted({ operation, repeat }: Batch, no: number): void {
    if (repeat) {
      const left = this.again.get(no)
      if (this.todo.has(no)) return
      if (!left || left.times <= 1) this.again.delete(no)
      else this.again.set(no, { ...left, times: left.times - 1, due: this.today + 1 })
      return
    }
    const entry = this.ledger.get(no)
    const other = this.batches[(operation === 'remove' ? (entry?.addBatch ?? 0) : (entry?.removeBatch ?? 0)) - 1]
    if (!other) return
    const unseen = other.repeat && other.acceptedOn === this.today
    const before = this.again.get(no) ?? { times: 1, after: 0, both: false, due: 0 }
    const earlier = operation === 'remove' && before.due === Number.POSITIVE_INFINITY
    const doubtful = this.sentTwice(other) || unseen || (earlier && before.times > 1)
    if (!doubtful && !earlier && other.state !== 'accepted') return
    this.again.set(no, {
      times: doubtful ? 2 : before.times,
      due: this.today,
      after: Math.max(before.after, other.no),
      both: before.both || operation === 'remove',
    })
  }

  /** Its outcome was unknown for a while, and a sending of it may still land. */
  sentTwice({ sendings, state, sentOn }: Batch): boolean {
    return sentOn === this.today && (sendings > 1 || (state === 'failed' && sendings > 0))
  }

  rememberEarlier(no: number, sets: readonly KeySet[]): void {
    for (const value of sets.flat()) if (value !== '') this.tags.set(value, (this.tags.get(value) ?? new Set()).add(no))
    const earlier = this.batches[(this.ledger.get(no)?.addBatch ?? 0) - 1]
    if (!earlier || (earlier.state !== 'accepted' && !this.sentTwice(earlier))) return
    const before = this.again.get(no) ?? { times: 1, due: Number.POSITIVE_INFINITY, after: 0, both: false }
    this.again.set(no, { ...before, times: this.sentTwice(earlier) ? 2 : before.times, after: Math.max(before.after, earlier.no) })
  }

  /** store/tags.ts, in memory: who shares an identifier with somebody that is removed. */
  acceptedOfSharers(batch: Batch, no: number, values: readonly string[]): void {
    const leave = (sharer: number, after: number, times: number) => {
      const before = this.again.get(sharer) ?? { times, due: this.today, after, both: false }
      const due = before.due === Number.POSITIVE_INFINITY ? this.today : before.due
      this.again.set(sharer, { ...before, due, after: Math.max(before.after, after), times: Math.max(before.times, times) })
    }
    const mayCome = ({ operation, state, repeat, sendings, acceptedOn }: Batch) =>
      operation === 'remove' && (state === 'accepted' || (state === 'applied' && (repeat || sendings > 1) && acceptedOn === this.today))
    for (const other of new Set(values.flatMap((value) => [...(this.tags.get(value) ?? [])]))) {
      const entry = this.ledger.get(other)
      if (!entry || other === no) continue
      if (batch.operation === 'remove') {
        if (entry.removeBatch < entry.addBatch) leave(other, batch.no, 1)
        continue
      }
      const late = this.batches.slice(0, entry.removeBatch).findLast(mayCome)
      if (late) leave(no, late.no, late.state === 'accepted' ? 1 : 2)
    }
  }

  /** The platform applies one of the calls it took: any of them. */
  apply(index: number): void {
    const [one] = this.pending.splice(index % Math.max(1, this.pending.length), 1)
    if (!one) return
    one.batch.effect = true
    for (const { sets } of one.people) {
      if (one.batch.operation === 'remove') this.far = this.far.filter((row) => !sets.some((removal) => shares(row, removal)))
      else this.far = [...this.far.filter((row) => !sets.some((set) => set.join() === row.join())), ...sets]
    }
  }

  /** By the end of the day it has applied them all. */
  sleep(order: number): void {
    while (this.pending.length > 0) this.apply(order)
    this.today += 1
    for (const [no, { due, after }] of this.again) {
      const open = this.batches.some((batch) => batch.no <= after && batch.state === 'accepted')
      if (due === Number.POSITIVE_INFINITY && !open && (this.batches[after - 1]?.sentOn ?? 0) < this.today) this.again.delete(no)
    }
  }

  /** What an earlier worker left: resent when it may have been sent, else its people are left to do. */
  resolve(next: () => Outcome): void {
    for (const batch of this.batches) {
      if (batch.state !== 'open') continue
      const withdrawn = batch.operation === 'add' && batch.people.some(({ customerNo }) => !this.people.get(customerNo)?.allowed)
      if (batch.sendings > 0 && !withdrawn) this.send(batch, next())
      else {
        batch.state = 'failed'
        for (const { customerNo, kind } of batch.people) {
          this.todo.set(customerNo, 0)
          // It never left us: whoever it named first is as unknown as before.
          const entry = this.ledger.get(customerNo)
          if (batch.sendings === 0 && kind === 'added' && entry?.addBatch === batch.no && entry.removeBatch === 0) this.ledger.delete(customerNo)
        }
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
      this.withdraw(next)
      if (!this.paused) this.act(next)
      this.repeat(next)
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

  /** Whoever may not be there goes first, whatever else is wished (R7). */
  withdraw(next: () => Outcome): void {
    const packer = new Packer(LIMIT, () => '')
    const gone = [...this.ledger.keys()].filter((no) => this.people.get(no)?.allowed === false && this.known(no)?.last === 'add')
    for (const no of gone)
      for (const packed of packer.add(this.partsOf(no, 0)))
        this.send(
          this.store(packed, () => this.cursor),
          next(),
        )
    for (const packed of packer.flush())
      this.send(
        this.store(packed, () => this.cursor),
        next(),
      )
  }

  /** worker/repeat.ts: last words of whom every earlier call is finished. Paused, only removals. */
  repeat(next: () => Outcome): void {
    const packer = new Packer(LIMIT, () => '')
    const firstOpen = this.batches.find(({ state }) => state === 'open' || state === 'accepted')?.no ?? Number.POSITIVE_INFINITY
    const say = (packed: Packed) =>
      this.send(
        this.store(packed, () => this.cursor, true),
        next(),
      )
    for (const [no, { due, after, both }] of [...this.again]) {
      const entry = this.ledger.get(no)
      if (!entry) this.again.delete(no)
      if (!entry || this.todo.has(no) || due > this.today || firstOpen <= Math.max(after, entry.addBatch, entry.removeBatch)) continue
      const shared = { customerNo: no, page: 0, suppressionsAt: '0:0', kind: 'none', afterRemoval: false } as const
      if (entry.removeBatch > entry.addBatch) {
        const sets = entry.held.map(({ set }) => set)
        for (const packed of packer.add([{ ...shared, operation: 'remove', sets, heldAfter: entry.held, fingerprint: null }])) say(packed)
        continue
      }
      const person = this.people.get(no)
      const [, , , groups, pieces] = this.row(no)
      const fingerprint = fingerprintOf(groups, pieces, choice.watched)
      if (this.paused) continue
      if (!person?.member || !person.allowed || fingerprint !== entry.fingerprint) {
        this.again.delete(no)
        continue
      }
      const sets = setsOf(no, person)
      const plan = planReplacement(KEYS, entry.held, sets)
      if (both && plan.remove.length > 0) {
        const half: Part = { ...shared, operation: 'remove', sets: plan.remove, heldAfter: plan.heldAfterRemove, fingerprint: null, half: true }
        for (const packed of packer.add([half, { ...shared, operation: 'add', sets, heldAfter: plan.heldAfterAdd, fingerprint, afterRemoval: true }]))
          say(packed)
      } else
        for (const packed of packer.add([
          {
            ...shared,
            operation: 'add',
            sets,
            heldAfter: [...entry.held.filter(({ removing }) => removing), ...sets.map((set) => ({ set, removing: false }))],
            fingerprint,
          },
        ]))
          say(packed)
    }
    for (const packed of packer.flush()) say(packed)
  }

  /** What had an effect is applied; whoever was removed, and is not to be said again, is forgotten. */
  settle(): void {
    for (const batch of this.batches) if (batch.state === 'accepted' && batch.effect) batch.state = 'applied'
    for (const [no, { addBatch, removeBatch }] of this.ledger) {
      const batch = this.batches[removeBatch - 1]
      if (removeBatch < addBatch || batch?.state !== 'applied' || this.todo.has(no) || this.again.has(no)) continue
      // Nobody saw the effect of a repetition, or of the other sending: it is remembered for as long as it may still come.
      if ((batch.repeat || batch.sendings > 1) && batch.acceptedOn === this.today) continue
      this.ledger.delete(no)
    }
  }
}
