/** Person n of a test's behavior, as `Behavior.join` makes them, and what a far side holds of them. */
import { createHash } from 'node:crypto'

export const address = (no: number): string => `p${no}@example.com`
/** By itself, not by the code under test. */
export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
/** As `World.far` shows them. */
export const emails = (...nos: number[]): string[] => nos.map((no) => sha256(address(no))).sort()
export const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1)
