/**
 * What can be made to go wrong, for the next `times` calls that match. RELIABILITY.md F9–F13 name the ways; the far side has done its work in the
 * `apply_then_*` kinds, in `slow_body` and in `apply_late`, and has not in the others.
 */
import { z } from 'zod'

/** Kinds that answer instead of doing the work. */
const INSTEAD = ['status', 'throttle', 'hang', 'html_200', 'bad_json', 'huge_body', 'redirect', 'expire_token'] as const
/** Kinds that do the work and then spoil the answer. */
const AFTER = ['apply_then_hang', 'apply_then_reset', 'slow_body'] as const
/** Kinds that change what an upload, a removal or a replacement does; other calls leave them waiting. */
const WITHIN = ['partial', 'reject_rows', 'too_small', 'apply_late', 'replace_fails'] as const
type Users = 'add' | 'remove' | 'replace'
/** Kinds that concern one of the three only. */
const ONLY: Partial<Record<FaultKind, Users>> = { too_small: 'remove', replace_fails: 'replace' }

export const faultSchema = z.strictObject({
  /** `path`: part of the request's path; `body`: part of its body, for instance one hash that must never pass. */
  match: z.strictObject({ method: z.string().toUpperCase().optional(), path: z.string().optional(), body: z.string().optional() }).default({}),
  kind: z.enum([...INSTEAD, ...AFTER, ...WITHIN]),
  times: z.int().positive().default(1),
  /** `reject_rows`, `partial`: how many of the call's good rows are refused, from the first, or which, counted from 0. */
  rows: z.union([z.int().positive(), z.array(z.int().nonnegative())]).default(1),
  /** `status`: the HTTP status; 200 with a `code` is an error in a good-looking answer. */
  status: z.int().min(200).max(599).optional(),
  /** `throttle`: until access is regained; `slow_body`: between two bytes; `apply_late`: how much later; the hanging kinds: until an answer, else never. */
  delayMs: z.int().nonnegative().optional(),
  code: z.int().optional(),
  subcode: z.int().optional(),
})
export type Fault = z.output<typeof faultSchema>
export type FaultKind = Fault['kind']

export type Faults = {
  add(fault: Fault): void
  /** Takes one use of the first fault that concerns this call. */
  take(call: { method: string; path: string; body: () => string; users: Users | undefined }): Fault | undefined
  list(): Fault[]
  clear(): void
}

export const createFaults = (): Faults => {
  let faults: Fault[] = []
  return {
    add: (fault) => {
      faults.push({ ...fault })
    },
    take: (call) => {
      const fault = faults.find(
        ({ match, kind }) =>
          (match.method === undefined || match.method === call.method) &&
          (match.path === undefined || call.path.includes(match.path)) &&
          (match.body === undefined || call.body().includes(match.body)) &&
          (!isWithin(kind) || (call.users !== undefined && (ONLY[kind] ?? call.users) === call.users)),
      )
      if (fault === undefined) return undefined
      fault.times -= 1
      faults = faults.filter(({ times }) => times > 0)
      return fault
    },
    list: () => faults.map((fault) => ({ ...fault })),
    clear: () => {
      faults = []
    },
  }
}

const isWithin = (kind: FaultKind): boolean => (WITHIN as readonly string[]).includes(kind)
export const isInstead = (kind: FaultKind): boolean => (INSTEAD as readonly string[]).includes(kind)
