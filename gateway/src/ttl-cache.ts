/** Answers of a look-up, kept for a while. Callers that ask for the same key at once share one look-up; failures are not kept. */
export class TtlCache<V> {
  readonly #entries = new Map<string, { value: Promise<V>; until: number; settled?: V }>()
  readonly #load: (key: string) => Promise<V>
  readonly #ttlMs: number
  readonly #max: number
  readonly #now: () => number

  constructor(load: (key: string) => Promise<V>, { ttlMs, max = 10_000, now = Date.now }: { ttlMs: number; max?: number; now?: () => number }) {
    this.#load = load
    this.#ttlMs = ttlMs
    this.#max = max
    this.#now = now
  }

  get(key: string): Promise<V> {
    const entry = this.#entries.get(key)
    if (entry && entry.until > this.#now()) return entry.value
    const loading: { value: Promise<V>; until: number; settled?: V } = { value: this.#load(key), until: this.#now() + this.#ttlMs }
    this.#entries.delete(key)
    this.#entries.set(key, loading)
    if (this.#entries.size > this.#max) this.#entries.delete(this.#entries.keys().next().value as string)
    loading.value.then(
      (value) => {
        loading.settled = value
      },
      () => {
        if (this.#entries.get(key) === loading) this.#entries.delete(key)
      },
    )
    return loading.value
  }

  /** What is known now, without a look-up. */
  known(key: string): V | undefined {
    const entry = this.#entries.get(key)
    return entry && entry.until > this.#now() ? entry.settled : undefined
  }

  forget(key: string): void {
    this.#entries.delete(key)
  }
}
