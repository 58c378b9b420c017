/** What a plan adds up while it looks at people, one by one: figures, and a digest of all that would be said. Pure. */
import { createHash } from 'node:crypto'
import type { PlanCounts } from '@audience-sync/contracts/rest/plans'
import { type Choice, fingerprintOf, type Withheld } from '@audience-sync/sync-engine/pure/diff'
import { type Sample, Sampler } from '@audience-sync/sync-engine/pure/sample'
import type { Decided } from '@audience-sync/sync-engine/worker/decisions'

const SAMPLE_PEOPLE = 3 // as many as a sample request needs to show its form; nobody else is decrypted

export type SuppressedBy = Record<Withheld, number>

export class Tally {
  readonly counts: Record<keyof PlanCounts, number> = { add: 0, remove: 0, replace: 0, unchanged: 0, suppressed: 0, waiting: 0 }
  readonly suppressedBy: SuppressedBy = { consent_denied: 0, opted_out: 0, no_usable_identifier: 0, audience_too_small: 0 }
  /** Of `counts.remove`: for privacy, which the brake never holds. */
  privacy = 0
  /** Some of those who would be added or replaced. */
  readonly examples: number[] = []
  readonly #leaving = new Sampler()
  readonly #digest = Buffer.alloc(32)
  readonly #choice: Choice
  readonly #withholdAdditions: boolean

  /** `withholdAdditions`: the audience is below its minimum (C14). */
  constructor(choice: Choice, { withholdAdditions }: { readonly withholdAdditions: boolean }) {
    this.#choice = choice
    this.#withholdAdditions = withholdAdditions
  }

  /** Each person once. */
  add({ customerNo, row, decision }: Pick<Decided, 'customerNo' | 'row' | 'decision'>): void {
    switch (decision.kind) {
      case 'add':
        if (this.#withholdAdditions) this.#suppress('audience_too_small')
        else this.#tell(customerNo, row, 'add')
        return
      case 'replace':
        this.#tell(customerNo, row, 'replace')
        return
      case 'remove':
        this.counts.remove += 1
        if (decision.privacy) this.privacy += 1
        else this.#leaving.add(customerNo)
        this.#note(customerNo, decision.privacy ? 'withdraw' : 'remove', 0)
        return
      case 'suppressed':
        this.#suppress(decision.reason)
        return
      case 'unchanged':
        this.counts.unchanged += 1
        return
      case 'wait':
        this.counts.waiting += 1
        return
      default:
        return
    }
  }

  /** Whose removal the brake would weigh. */
  get leaving(): Sample {
    return this.#leaving.sample
  }

  /** Equal for the same people said in the same way, whatever the order they came in: a later change that says nothing new moves people in the feed. */
  get digest(): Buffer {
    return this.#digest
  }

  #tell(customerNo: number, row: Decided['row'], kind: 'add' | 'replace'): void {
    this.counts[kind] += 1
    if (this.examples.length < SAMPLE_PEOPLE) this.examples.push(customerNo)
    this.#note(customerNo, kind, row ? fingerprintOf(row[3], row[4], this.#choice.watched) : 0)
  }

  #suppress(reason: Withheld): void {
    this.counts.suppressed += 1
    this.suppressedBy[reason] += 1
  }

  #note(customerNo: number, kind: string, fingerprint: number): void {
    const one = createHash('sha256').update(`${customerNo} ${kind} ${fingerprint}`).digest()
    for (let i = 0; i < one.length; i += 1) this.#digest[i] = (this.#digest[i] ?? 0) ^ (one[i] ?? 0)
  }
}
