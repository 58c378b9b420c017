/** Reading answers that may be anything. */

export const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Meta writes numbers as numbers and, where they may pass 2^53, as strings. */
export function numberOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined
}

export const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** Where the next page of a list begins, from the answer's `paging`; undefined on the last one. Some lists name it in the link only. */
export function nextPage(paging: unknown): string | undefined {
  if (!isRecord(paging) || paging.next === undefined) return undefined
  const { cursors, next } = paging
  const named = isRecord(cursors) ? textOf(cursors.after) : undefined
  return named ?? (typeof next === 'string' && URL.canParse(next) ? (new URL(next).searchParams.get('after') ?? undefined) : undefined)
}

/** undefined: it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
