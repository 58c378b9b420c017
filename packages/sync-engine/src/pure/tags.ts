/**
 * Keyed tags of identifiers that match alone: who else in an audience holds one of them (SYNC.md C2). A tag is the first 53 bits of
 * an HMAC; two identifiers that share one by chance cost a needless repetition, no more.
 */
import { createHmac } from 'node:crypto'
import type { KeySet } from '@audience-sync/destination-kit/contract'
import type { KeyDefinition } from '@audience-sync/destination-kit/manifest-contract'

const HIGH_BITS = 2 ** 32

export function tagsOf(key: Buffer, keys: readonly KeyDefinition[], sets: readonly KeySet[]): number[] {
  const tags = new Set<number>()
  for (const set of sets) {
    set.forEach((value, i) => {
      const definition = keys[i]
      if (value === '' || !definition?.matchesAlone) return
      const digest = createHmac('sha256', key).update(`${definition.name}:${value}`).digest()
      tags.add((digest.readUInt32LE(0) & 0x1fffff) * HIGH_BITS + digest.readUInt32LE(4))
    })
  }
  return [...tags]
}
