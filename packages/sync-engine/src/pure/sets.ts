/**
 * Key sets as bytes: what the ledger holds of a person and what a batch's payload holds of its rows. A set is a mask of the keys
 * present, then each value: a digest as its 32 bytes, a text with its length. Half the size of hex, and the same set always
 * gives the same bytes.
 */
import type { KeySet } from '@audience-sync/destination-kit/contract'
import type { KeyDefinition } from '@audience-sync/destination-kit/manifest-contract'

const DIGEST_BYTES = 32
const MASK_BYTES = 4 // 32 keys at most; Meta has 19
const LENGTH_BYTES = 2

export class Writer {
  #buffer = Buffer.allocUnsafe(256)
  #end = 0

  #room(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#end + bytes))
    this.#buffer.copy(larger, 0, 0, this.#end)
    this.#buffer = larger
  }
  byte(value: number): void {
    this.#room(1)
    this.#buffer[this.#end++] = value
  }
  uint32(value: number): void {
    this.#room(4)
    this.#end = this.#buffer.writeUInt32LE(value >>> 0, this.#end)
  }
  /** Up to 2^53. */
  number(value: number): void {
    this.#room(8)
    this.#end = this.#buffer.writeDoubleLE(value, this.#end)
  }
  hex(value: string, bytes: number): void {
    this.#room(bytes)
    if (this.#buffer.write(value, this.#end, bytes, 'hex') !== bytes) throw new Error(`Not ${bytes} bytes of hex.`)
    this.#end += bytes
  }
  text(value: string): void {
    const length = Buffer.byteLength(value)
    this.#room(LENGTH_BYTES + length)
    this.#end = this.#buffer.writeUInt16LE(length, this.#end)
    this.#end += this.#buffer.write(value, this.#end, 'utf8')
  }
  /** What was written: not a copy, so this is the last that is asked of a writer. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#end)
  }
}

export class Reader {
  readonly #buffer: Buffer
  #at = 0
  constructor(buffer: Buffer) {
    this.#buffer = buffer
  }
  byte(): number {
    return this.#buffer.readUInt8(this.#at++)
  }
  uint32(): number {
    this.#at += 4
    return this.#buffer.readUInt32LE(this.#at - 4)
  }
  number(): number {
    this.#at += 8
    return this.#buffer.readDoubleLE(this.#at - 8)
  }
  hex(bytes: number): string {
    this.#at += bytes
    return this.#buffer.toString('hex', this.#at - bytes, this.#at)
  }
  text(): string {
    const length = this.#buffer.readUInt16LE(this.#at)
    this.#at += LENGTH_BYTES + length
    return this.#buffer.toString('utf8', this.#at - length, this.#at)
  }
  get done(): boolean {
    return this.#at >= this.#buffer.length
  }
}

export function writeSet(writer: Writer, keys: readonly KeyDefinition[], set: KeySet): void {
  if (keys.length > MASK_BYTES * 8) throw new Error('More keys than the mask has bits.')
  let mask = 0
  for (let i = 0; i < keys.length; i += 1) if (set[i]) mask |= 1 << i
  writer.uint32(mask)
  for (let i = 0; i < keys.length; i += 1) {
    const value = set[i]
    if (!value) continue
    if (keys[i]?.form === 'sha256') writer.hex(value, DIGEST_BYTES)
    else writer.text(value)
  }
}

export function readSet(reader: Reader, keys: readonly KeyDefinition[]): KeySet {
  const mask = reader.uint32()
  return keys.map(({ form }, i) => {
    if (!(mask & (1 << i))) return ''
    return form === 'sha256' ? reader.hex(DIGEST_BYTES) : reader.text()
  })
}
