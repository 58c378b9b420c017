/**
 * HMAC-SHA256 in two one-shot hashes: `createHmac` makes a stream object each time, and costs five times as much on values
 * of this length. Same bytes (a test compares them).
 */
import { hash } from 'node:crypto'

const BLOCK = 64
const DIGEST = 32

export type Hmac = (text: string) => Buffer

/** `key`: at most 64 bytes, as the standard uses them unhashed. */
export function hmacSha256(key: Buffer): Hmac {
  if (key.length > BLOCK) throw new RangeError(`The key is longer than ${BLOCK} bytes.`)
  const padded = (pad: number) => Buffer.from(Buffer.concat([key], BLOCK).map((byte) => byte ^ pad))
  const outer = Buffer.concat([padded(0x5c), Buffer.alloc(DIGEST)])
  const prefix = padded(0x36)
  return (text) => {
    const bytes = Buffer.allocUnsafe(BLOCK + Buffer.byteLength(text))
    prefix.copy(bytes)
    bytes.write(text, BLOCK, 'utf8')
    hash('sha256', bytes, 'buffer').copy(outer, BLOCK)
    return hash('sha256', outer, 'buffer')
  }
}
