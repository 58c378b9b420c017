/** Seeded randomness, so that an order of application or a made-up id can be had again from the same seed. */
export type Random = () => number

/** Mulberry32: 32 bits of state, even enough for shuffling work. */
export const createRandom = (seed: number): Random => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Digits in a row, the first never 0; for ids that the platform makes up. */
export const digits = (random: Random, length: number): string =>
  Array.from({ length }, (_, index) => Math.floor(random() * (index === 0 ? 9 : 10)) + (index === 0 ? 1 : 0)).join('')

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** Letters and digits in a row; for codes, tokens and trace ids. */
export const letters = (random: Random, length: number): string => Array.from({ length }, () => LETTERS[Math.floor(random() * LETTERS.length)]).join('')
