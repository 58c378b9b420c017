/** Numbers seen before, a bit each: somebody who changed twice is in two pages of the feed. Customer numbers are given out in order, so they lie close. */
const CHUNK_BITS = 8_192 // 1 KiB: a tenant's own numbers fill it, those of other tenants between cost little

export class Seen {
  readonly #chunks = new Map<number, Uint8Array>()

  /** True the first time. */
  add(no: number): boolean {
    const at = Math.floor(no / CHUNK_BITS)
    let chunk = this.#chunks.get(at)
    if (!chunk) {
      chunk = new Uint8Array(CHUNK_BITS / 8)
      this.#chunks.set(at, chunk)
    }
    const bit = no % CHUNK_BITS
    const mask = 1 << (bit & 7)
    const before = chunk[bit >> 3] ?? 0
    chunk[bit >> 3] = before | mask
    return (before & mask) === 0
  }
}
