/**
 * Which versions of the Marketing API still live: vendors/meta.md §0. A version that has expired is upgraded in silence where an endpoint did not
 * change, and the answer then carries a warning header; where it did change, and for older versions, the call fails with 2635.
 */
import { z } from 'zod'
import { versionDead } from './errors.ts'

export const versionsPatch = z.strictObject({
  alive: z.array(z.string()).optional(),
  expired: z.array(z.string()).optional(),
  /** Parts of paths whose endpoint changed after the expired versions, for instance `usersreplace`. */
  changed: z.array(z.string()).optional(),
})

export type Versions = {
  patch(change: z.output<typeof versionsPatch>): void
  /** The newest that lives; where none is left, the one that must have come after those that expired. */
  newest(): string
  /** @returns the version that works on the call, another one where it was upgraded @throws GraphError 2635 */
  serve(asked: string, path: string): string
  list(): { alive: string[]; expired: string[]; changed: string[] }
  reset(): void
}

export const numberOf = (version: string): number => Number(version.slice(1))
const highest = (versions: readonly string[]): string | undefined => versions.toSorted((one, other) => numberOf(other) - numberOf(one))[0]

export const createVersions = (alive: readonly string[], expired: readonly string[]): Versions => {
  let state = { alive: [...alive], expired: [...expired], changed: [] as string[] }
  const newest = () => highest(state.alive) ?? `v${numberOf(highest(state.expired) ?? 'v25.0') + 1}.0`
  return {
    newest,
    patch: (change) => {
      const expiredNow = change.expired ?? state.expired
      state = {
        // What has just expired does not live any more, unless the caller says so himself.
        alive: change.alive ?? state.alive.filter((version) => !expiredNow.includes(version)),
        expired: expiredNow,
        changed: change.changed ?? state.changed,
      }
    },
    serve: (asked, path) => {
      if (state.alive.includes(asked)) return asked
      if (!state.expired.includes(asked) || state.changed.some((part) => path.includes(part))) throw versionDead(asked, newest())
      return newest()
    },
    list: () => structuredClone(state),
    reset: () => {
      state = { alive: [...alive], expired: [...expired], changed: [] }
    },
  }
}
