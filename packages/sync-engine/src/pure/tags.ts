/**
 * Keyed tags of identifiers that match alone: who else in an audience holds one of them (SYNC.md C2). A tag is the first 53 bits of
 * an HMAC; two identifiers that share one by chance cost a needless repetition, no more.
 */
import type { KeySet } from '@audience-sync/destination-kit/contract'
import type { KeyDefinition } from '@audience-sync/destination-kit/manifest-contract'
import type { Hmac } from '@audience-sync/vault/hmac'

const HIGH_BITS = 2 ** 32

export interface Tagged {
  readonly customerNo: number
  readonly tags: readonly number[]
}

/** People with the tags of what is said of them. */
export const taggedBy = (
  hmac: Hmac,
  keys: readonly KeyDefinition[],
  people: readonly { readonly customerNo: number; readonly sets: readonly KeySet[] }[],
): Tagged[] => people.map(({ customerNo, sets }) => ({ customerNo, tags: tagsOf(hmac, keys, sets) }))

/** Of all of them, each once. */
export const allTags = (people: readonly Tagged[]): number[] => [...new Set(people.flatMap(({ tags }) => tags))]

function tagsOf(hmac: Hmac, keys: readonly KeyDefinition[], sets: readonly KeySet[]): number[] {
  const tags = new Set<number>()
  for (const set of sets) {
    set.forEach((value, i) => {
      const definition = keys[i]
      if (value === '' || !definition?.matchesAlone) return
      const digest = hmac(`${definition.name}:${value}`)
      tags.add((digest.readUInt32LE(0) & 0x1fffff) * HIGH_BITS + digest.readUInt32LE(4))
    })
  }
  return [...tags]
}
