/**
 * The far side of one account, as unkind as the facts allow: it takes calls, applies them one by one in any order (one for the whole
 * account in each audience by itself), and forgets nothing that it took. A new list is a session: its first call begins anew whatever was
 * there of it, its last one has the platform work; left half-said it ends as what had arrived, or as nothing.
 */
import type { KeySet } from '@audience-sync/destination-kit/contract'
import { shares } from './people.ts'

interface Session {
  readonly id: number
  readonly staged: Map<number, readonly KeySet[]>
  state: 'open' | 'working' | 'done' | 'failed'
  /** It will be given up at its end. */
  doomed: boolean
  /** Its time was over before its last call. */
  cut?: true
}

/** Taken by the platform, and to be applied whenever it likes. */
interface Taken {
  readonly audience: number
  readonly call: number
  readonly what: 'add' | 'remove' | Session
  readonly rows: readonly KeySet[]
}

export interface Listing {
  readonly session: number
  readonly seq: number
  readonly last: boolean
  readonly doomed: boolean
}

export class Platform {
  readonly lists: KeySet[][]
  readonly pending: Taken[] = []
  /** Calls that had an effect, by audience. */
  readonly #effects = new Set<string>()
  readonly #sessions: (Session | undefined)[]
  readonly #past = new Map<number, Session>()
  /** Calls to an audience whose list was being replaced. */
  besideAList = 0

  constructor(audiences: number) {
    this.lists = Array.from({ length: audiences }, () => [])
    this.#sessions = Array.from({ length: audiences }, () => undefined)
  }

  say(audience: number, call: number, what: 'add' | 'remove', rows: readonly KeySet[]): void {
    const state = this.#sessions[audience]?.state
    if (state === 'open' || state === 'working') this.besideAList += 1
    this.pending.push({ audience, call, what, rows })
  }

  /** From every audience of the account, also from one whose list is being replaced: from the old one. */
  removeEverywhere(call: number, rows: readonly KeySet[]): void {
    for (const audience of this.lists.keys()) this.pending.push({ audience, call, what: 'remove', rows })
  }

  /** Part of a new list. */
  list(audience: number, call: number, { session: id, seq, last, doomed }: Listing, rows: readonly KeySet[]): 'taken' | 'refused' | 'finished' {
    if (seq === 1) {
      const begun: Session = { id, staged: new Map(), state: 'open', doomed }
      this.#sessions[audience] = begun
      this.#past.set(id, begun)
    }
    const session = this.#sessions[audience]
    if (session?.id !== id || session.state === 'failed' || session.cut) return 'refused'
    if (session.state !== 'open') return 'finished'
    session.staged.set(seq, rows)
    if (last) this.#work(audience, call, session)
    return 'taken'
  }

  look(audience: number, id: number | null): 'ready' | 'begun' | 'busy' {
    const session = this.#sessions[audience]
    if (session && session.id === id) return 'begun'
    return session?.state === 'open' || session?.state === 'working' ? 'busy' : 'ready'
  }

  #work(audience: number, call: number, session: Session): void {
    session.state = 'working'
    this.pending.push({ audience, call, what: session, rows: [] })
  }

  /** The time of a session that is still being said is over: the list is what had arrived, or the platform gives it up. */
  endWindow(audience: number, givesUp: boolean): void {
    const session = this.#sessions[audience]
    if (session?.state !== 'open') return
    session.cut = true
    session.doomed ||= givesUp
    this.#work(audience, 0, session)
  }

  endOf(session: number): Session['state'] | undefined {
    return this.#past.get(session)?.state
  }

  hadEffect(call: number, audience: number): boolean {
    return this.#effects.has(`${call} ${audience}`)
  }

  /** Applies one of what it took: any of them. */
  apply(index: number): void {
    const [one] = this.pending.splice(index % Math.max(1, this.pending.length), 1)
    if (!one) return
    const { audience, call, what, rows } = one
    const list = this.lists[audience] ?? []
    if (what === 'remove') this.lists[audience] = list.filter((row) => !rows.some((removal) => shares(row, removal)))
    else if (what === 'add') this.lists[audience] = [...list.filter((row) => !rows.some((set) => set.join() === row.join())), ...rows]
    else if (what.state === 'working') {
      what.state = what.doomed ? 'failed' : 'done'
      if (!what.doomed) this.lists[audience] = [...new Map([...what.staged.values()].flat().map((row) => [row.join(), row])).values()]
    }
    this.#effects.add(`${call} ${audience}`)
  }
}
