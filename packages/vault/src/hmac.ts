/**
 * HMAC-SHA256 in two one-shot hashes: `createHmac` makes a key and a stream object each time, and costs twelve times as much on
 * values of this length. Digests pass as text of single bytes between the two: to Node that is cheaper than a Buffer. Same bytes (a test
 * compares them).
 */
import { hash } from 'node:crypto'

const BLOCK = 64
const DIGEST = 32
const USUAL = 512 // bytes of a text; longer ones get more room

export type Hmac = (text: string) => Buffer

/** `key`: at most 64 bytes, as the standard uses them unhashed. */
export function hmacSha256(key: Buffer): Hmac {
  if (key.length > BLOCK) throw new RangeError(`The key is longer than ${BLOCK} bytes.`)
  const padded = (pad: number) => Buffer.concat([key], BLOCK).map((byte) => byte ^ pad)
  const outer = Buffer.concat([padded(0x5c)], BLOCK + DIGEST)
  let inner = Buffer.concat([padded(0x36)], BLOCK + USUAL)
  return (text) => {
    const end = BLOCK + Buffer.byteLength(text)
    if (end > inner.length) inner = Buffer.concat([inner.subarray(0, BLOCK)], end)
    inner.write(text, BLOCK, 'utf8')
    outer.write(hash('sha256', inner.subarray(0, end), 'binary'), BLOCK, 'latin1')
    return Buffer.from(hash('sha256', outer, 'binary'), 'latin1')
  }
}
