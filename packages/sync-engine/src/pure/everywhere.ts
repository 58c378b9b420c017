/**
 * Who goes by one call for all audiences of an account (R7), what it says of them, and whom it spares another call. Pure; the calls are made
 * by `worker/opt-out.ts`.
 */
import type { KeySet } from '@audience-sync/destination-kit/contract'
import { type HeldSet, planRemoval } from './held.ts'
import type { Part } from './packer.ts'

/** One ledger row of one of the people, in whichever audience of the account. */
export interface InAccount {
  readonly audienceNo: number
  readonly customerNo: number
  /** Last said there was that they belong. */
  readonly present: boolean
  /** To be removed there, too. */
  readonly privacy: boolean
  /** A call that names them has no known outcome. */
  readonly open: boolean
}

export interface Everywhere<R extends InAccount> {
  readonly going: readonly number[]
  /** Not by this call: they stay in another audience of the account (C13), or are not in this one. */
  readonly apart: readonly number[]
  /** Their rows in the other audiences: all that is held there goes along. */
  others(customerNo: number): readonly R[]
  /** Of those, the ones that need no call of their own, if they are unchanged when their turn comes. */
  along(customerNo: number): readonly R[]
}

/** `force`: whoever stays elsewhere goes, too, and is said again there. */
export function whoGoes<R extends InAccount>(audienceNo: number, customers: readonly number[], rows: readonly R[], force: boolean): Everywhere<R> {
  const of = Map.groupBy(rows, ({ customerNo }) => customerNo)
  const others = (no: number) => (of.get(no) ?? []).filter((row) => row.audienceNo !== audienceNo)
  const here = (no: number) => (of.get(no) ?? []).some((row) => row.audienceNo === audienceNo)
  const stays = (no: number) => others(no).some(({ present, privacy }) => present && !privacy)
  const going = customers.filter((no) => here(no) && (force || !stays(no)))
  const gone = new Set(going)
  return {
    going,
    apart: customers.filter((no) => !gone.has(no)),
    others,
    along: (no) => others(no).filter(({ privacy, open }) => privacy && !open),
  }
}

/** Everything that may be there of a person: in this audience (`held`), and in the others of the account. */
export function removalEverywhere(customerNo: number, held: readonly HeldSet[], elsewhere: readonly KeySet[]): Part {
  const { heldAfter } = planRemoval(held)
  const { remove } = planRemoval([...held, ...elsewhere.map((set) => ({ set, removing: false }))])
  return {
    customerNo,
    operation: 'remove',
    kind: 'withdrawn',
    sets: remove,
    heldAfter,
    fingerprint: null,
    page: 0,
    afterRemoval: false,
    suppressionsAt: '0:0',
  }
}

/** Another audience's accepted call that took a person of this one along, as the ledger had them (a digest) when it was made. */
export interface CallFor {
  readonly customerNo: number
  readonly batchNo: number
  readonly heldDigest: Buffer
}

/** Whose removal such a call has done: by call, those of whom the ledger says the same as then. `calls`: newest first. */
export function sharedBy(now: ReadonlyMap<number, Buffer>, calls: readonly CallFor[]): ReadonlyMap<number, readonly number[]> {
  const found = new Map<number, number[]>()
  const done = new Set<number>()
  for (const { customerNo, batchNo, heldDigest } of calls) {
    if (done.has(customerNo) || !now.get(customerNo)?.equals(heldDigest)) continue
    found.set(batchNo, [...(found.get(batchNo) ?? []), customerNo])
    done.add(customerNo)
  }
  return found
}
