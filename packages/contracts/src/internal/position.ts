/**
 * Where a reader stands in a log of committed changes: `xid:seq`, the transaction that wrote a row and the row's place among all
 * rows. Below the oldest transaction that still runs nothing comes in between any more (DESIGN.md R2).
 */
import { z } from 'zod'

export const Position = z.string().regex(/^\d{1,20}:\d{1,19}$/)

/** In two, as Postgres compares them; beyond 2^53, so they stay text. */
export interface PositionParts {
  readonly xid: string
  readonly seq: string
}

/** Of a text that `Position` has checked. */
export function readPosition(text: string): PositionParts {
  const [xid = '0', seq = '0'] = text.split(':')
  return { xid, seq }
}

/** Negative where `a` comes before `b`, 0 where they are the same place. */
export function comparePositions(a: string, b: string): number {
  const [one, other] = [readPosition(a), readPosition(b)]
  const apart = BigInt(one.xid) - BigInt(other.xid) || BigInt(one.seq) - BigInt(other.seq)
  return apart === 0n ? 0 : apart < 0n ? -1 : 1
}
