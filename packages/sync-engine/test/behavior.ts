/**
 * A behavior in memory that keeps the contract of the change feed: people join, change, leave and object by hand, each change has a
 * place in the log, and what is fetched is what holds at that moment.
 */
import type { FeedRow, FetchVerdict, SuppressionRow } from '@audience-sync/contracts/internal/feed'
import { groupBit, type Identifiers, type Purpose, purposeBit, UNREAD_BIT } from '@audience-sync/contracts/people'
import { usableGroups } from '@audience-sync/destination-kit/usable'
import type { Feed } from '../src/peers.ts'

interface Member {
  readonly no: number
  readonly customerId: string
  member: boolean
  identifiers: Identifiers
  allowed: number
}

const ALL = purposeBit('ads') | purposeBit('ads_ldu') | purposeBit('crm')

export class Behavior {
  readonly people = new Map<number, Member>()
  /** A change makes a new person: what was made of one holds. */
  readonly #rows = new WeakMap<Member, FeedRow>()
  readonly log: { readonly xid: number; readonly no: number }[] = []
  readonly suppressed: SuppressionRow[] = []
  readonly tenantId: string
  epoch = 'e1'
  xid = 10
  /** Set to hold the horizon back, as an open transaction would. */
  xmin: number | undefined
  fetches = 0
  /** Called before the fetch looks, and after it has. */
  beforeFetch: (() => void | Promise<void>) | undefined
  onFetch: (() => void | Promise<void>) | undefined

  constructor(tenantId: string) {
    this.tenantId = tenantId
  }

  change(no: number, change: Partial<Omit<Member, 'no'>>): void {
    const before = this.people.get(no) ?? { no, customerId: `c_${no}`, member: false, identifiers: {}, allowed: ALL }
    this.people.set(no, { ...before, ...change })
    this.log.push({ xid: this.xid++, no })
  }
  join(no: number, identifiers: Identifiers = { email: `p${no}@example.com` }): void {
    this.change(no, { member: true, identifiers })
  }
  leave(no: number): void {
    this.change(no, { member: false })
  }
  suppress(no: number, purposes: Purpose[] = ['ads', 'ads_ldu']): void {
    const bits = purposes.reduce((sum, purpose) => sum | purposeBit(purpose), 0)
    this.change(no, { allowed: ALL & ~bits })
    this.suppressed.push({ tenantId: this.tenantId, customerNo: no, purposes: bits, reason: 'opted_out', at: `${this.xid++}:1` })
  }

  row(no: number): FeedRow {
    const person = this.people.get(no)
    if (!person) return [no, 0, 0, 0, '']
    const known = this.#rows.get(person)
    if (known) return known
    const { groups: usable, unusable } = usableGroups(person.identifiers)
    const groups = usable | (unusable.length > 0 ? UNREAD_BIT : 0)
    const row: FeedRow = [no, person.member ? 1 : 0, person.allowed, groups, fingerprints(person.identifiers, groups)]
    this.#rows.set(person, row)
    return row
  }

  get horizon() {
    return { epoch: this.epoch, xmin: String(this.xmin ?? this.xid), xmax: String(this.xid), oldest: '0:0' }
  }

  feed(): Feed {
    const members = () => [...this.people.values()].sort((a, b) => a.no - b.no)
    return {
      horizon: async () => this.horizon,
      changes: async (after, below) => {
        const from = Number(after.split(':')[0])
        const to = Math.min(Number(below), this.xmin ?? this.xid)
        const nos = [...new Set(this.log.filter(({ xid }) => xid >= from && xid < to).map(({ no }) => no))]
        const rows = nos.map((no) => this.row(no))
        return { horizon: this.horizon, rows, next: `${to}:0`, done: true, count: rows.length }
      },
      members: async (afterCustomer) => {
        const page = members()
          .filter(({ no }) => no > afterCustomer)
          .slice(0, 10_000)
        const nextCustomer = page.at(-1)?.no ?? afterCustomer
        return {
          horizon: this.horizon,
          start: `${this.xmin ?? this.xid}:0`,
          rows: page.map(({ no }) => this.row(no)),
          nextCustomer,
          done: page.length < 10_000,
          count: page.length,
        }
      },
      rows: async (customers) => customers.map((no) => this.row(no)),
      fetch: async (customers, purpose) => {
        this.fetches += 1
        await this.beforeFetch?.()
        const verdicts = customers.map((no): FetchVerdict => {
          const person = this.people.get(no)
          if (!person?.member) return { verdict: 'not_member', no }
          if (!(person.allowed & purposeBit(purpose))) return { verdict: 'suppressed', no, reason: 'opted_out' }
          const [, , , groups, pieces] = this.row(no)
          const consent = { adUserData: 'granted', adPersonalization: 'granted', crm: 'unspecified', saleShareOptOut: false } as const
          return {
            verdict: 'send',
            no,
            customerId: person.customerId,
            identifiers: person.identifiers,
            consent,
            limitedDataUse: false,
            groups,
            fingerprints: pieces,
          }
        })
        const suppressionsAt = this.suppressed.at(-1)?.at ?? '0:0'
        await this.onFetch?.()
        return { verdicts, count: verdicts.length, suppressionsAt }
      },
      eligible: async (purpose, groups, atMost = Number.POSITIVE_INFINITY) => {
        const in_ = members().filter(({ member }) => member)
        const eligible = in_.filter(({ no, allowed }) => allowed & purposeBit(purpose) && this.row(no)[3] & groups).length
        return { members: Math.min(in_.length, atMost), eligible: Math.min(eligible, atMost) }
      },
    }
  }
}

/** Eight bytes for each usable group, different for different identifiers: what a keyed hash would give. */
function fingerprints(identifiers: Identifiers, groups: number): string {
  const of = (value: unknown) => {
    const text = JSON.stringify(value ?? null)
    const bytes = Buffer.alloc(8)
    for (let i = 0; i < text.length; i += 1) bytes[i % 8] = ((bytes[i % 8] ?? 0) * 31 + text.charCodeAt(i)) & 0xff
    return bytes
  }
  const pieces: Buffer[] = []
  if (groups & groupBit('email')) pieces.push(of([identifiers.email, identifiers.emails]))
  if (groups & groupBit('phone')) pieces.push(of(identifiers.phone))
  for (const bit of [2, 3, 4, 5, 6, 7, 8, 9, 14]) if (groups & (1 << bit)) pieces.push(of([bit, identifiers]))
  return Buffer.concat(pieces).toString('base64')
}
