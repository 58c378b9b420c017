/** Which of a destination's normalisers is in force (normaliser-contract.ts). */
import type { Destination } from './contract.ts'
import type { Normaliser } from './normaliser-contract.ts'

/** All of them, the one in force first. */
export const normalisersOf = <S>({ manifest, prepare, normalisers = [] }: Destination<S>): readonly Normaliser<S>[] => [
  { version: manifest.normaliserVersion, prepare },
  ...normalisers,
]

/** The destination with another normaliser in force, and the former one beside it. Throws where it has none of that version. */
export function withNormaliser<S>(destination: Destination<S>, version: number = destination.manifest.normaliserVersion): Destination<S> {
  const { manifest } = destination
  const all = normalisersOf(destination)
  const chosen = all.find((one) => one.version === version)
  if (!chosen) throw new Error(`${manifest.title} has no normaliser of version ${version}, only of ${all.map((one) => one.version).join(', ')}.`)
  return {
    ...destination,
    manifest: { ...manifest, normaliserVersion: version },
    prepare: (person, config) => chosen.prepare(person, config),
    normalisers: all.filter((one) => one !== chosen),
  }
}
